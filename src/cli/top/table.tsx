// A list as a table: a title line, then its rows with the selected one marked.
import { Box } from 'ink';
import { colors } from '../print.ts';
import { Cell } from './cell.tsx';
import type { Column } from './lists.ts';
import { type ListView, rowsInView } from './view.ts';

/** The mark of the selected row, and the gap between cells. */
const MARK_WIDTH = 2;
const GAP = 1;

export function Table({
  title,
  view,
  width,
  hasFocus,
}: {
  title: string;
  view: ListView;
  width: number;
  hasFocus: boolean;
}) {
  const { list, first, selected } = view;
  const { rows, empty, isTail } = list;
  const columns = fitted(list.columns, width - MARK_WIDTH);
  const titles = columns.map((column, i) => colors.bold(i === 0 ? '' : column.title));
  const name = rows.length === 0 || isTail ? title : `${title} ${rows.length}`;
  // The list names its first column; the brackets mark the focus where there are no colours.
  titles[0] = hasFocus ? colors.inverse(`[${name}]`) : colors.bold(name);
  return (
    <Box flexDirection="column">
      <Line columns={columns} cells={titles} mark="" />
      {rows.length === 0 && <Cell text={colors.dim(`  ${empty}`)} width={width} />}
      {rowsInView(view).map((row, i) => {
        const isSelected = hasFocus && first + i === selected;
        const [head = '', ...rest] = row.cells();
        return (
          <Line
            key={row.key}
            columns={columns}
            cells={isSelected ? [colors.bold(head), ...rest] : [head, ...rest]}
            mark={isSelected ? colors.cyan('>') : ''}
          />
        );
      })}
    </Box>
  );
}

function Line({
  columns,
  cells,
  mark,
}: {
  columns: readonly Column[];
  cells: readonly string[];
  mark: string;
}) {
  return (
    <Box height={1} columnGap={GAP}>
      <Cell text={mark} width={MARK_WIDTH - GAP} />
      {columns.map((column, i) => (
        <Cell key={column.title} text={cells[i] ?? ''} width={column.width} />
      ))}
    </Box>
  );
}

// The last column gets the rest of the width; columns that do not fit are left out.
function fitted(columns: readonly Column[], width: number): Column[] {
  const fit: Column[] = [];
  let left = width;
  for (const [i, column] of columns.entries()) {
    const isLast = i === columns.length - 1;
    const own = isLast ? left : Math.min(column.width, left);
    fit.push({ ...column, width: Math.max(0, own) });
    left -= own + GAP;
  }
  return fit;
}

// The pages that replace the panes: an open task, node or lane, and the help.
import { Box } from 'ink';
import { colors } from '../print.ts';
import { Cell } from './cell.tsx';
import { KEYS } from './keys.ts';
import type { Page, Picture } from './picture.ts';
import { Table } from './table.tsx';
import { pageInView } from './view.ts';

export function OpenPage({ picture, page }: { picture: Picture; page: Page }) {
  const { columns } = picture;
  const { facts, tasks, output } = pageInView(picture, page);
  return (
    <Box flexDirection="column">
      <Cell text={colors.inverse(`[${page.kind} ${page.id}]`)} width={columns} />
      <Lines lines={facts} width={columns} />
      {tasks ? (
        <Table title={page.kind === 'lane' ? 'WAITING' : 'TASKS'} view={tasks} width={columns} hasFocus />
      ) : (
        <>
          <Cell
            text={colors.bold(`OUTPUT${page.back > 0 ? `, ${page.back} lines above its end` : ''}`)}
            width={columns}
          />
          <Lines lines={output} width={columns} />
        </>
      )}
    </Box>
  );
}

export function Help({ picture: { columns } }: { picture: Picture }) {
  const width = Math.max(...KEYS.map(([key]) => key.length));
  const lines = KEYS.map(([key, does]) => `  ${colors.bold(key.padEnd(width))}  ${does}`);
  return (
    <Box flexDirection="column">
      <Cell text={colors.inverse('[help]')} width={columns} />
      <Lines lines={['', ...lines]} width={columns} />
    </Box>
  );
}

function Lines({ lines, width }: { lines: readonly string[]; width: number }) {
  return lines.map((text, i) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: a line has no identity but its position.
    <Cell key={i} text={text} width={width} />
  ));
}

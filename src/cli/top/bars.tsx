// The bars at the top and at the bottom: server and health; question, notice or keys.
import { Box } from 'ink';
import { colors } from '../print.ts';
import { Cell } from './cell.tsx';
import { openPage, type Picture } from './picture.ts';
import { oneLine } from './text.ts';

export function TopBar({ picture }: { picture: Picture }) {
  const { status, trouble, columns } = picture;
  const { server } = status ?? {};
  const header = server
    ? `${server.cluster ? `cluster ${oneLine(server.cluster)}, ` : ''}${oneLine(server.url)}  nats-server ${oneLine(server.version)}, ${server.rttMs} ms`
    : 'reading ...';
  const at = status ? colors.dim(status.at.slice(11, 19)) : '';
  return (
    <Box flexDirection="column">
      <Cell text={`${colors.bold('orch')} ${at}  ${header}`} width={columns} />
      <Cell text={trouble === undefined ? health(picture) : colors.red(oneLine(trouble))} width={columns} />
    </Box>
  );
}

export function BottomBar({ picture }: { picture: Picture }) {
  const { asking, notice, columns } = picture;
  if (asking) return <Cell text={colors.yellow(`${asking.question} y/n`)} width={columns} />;
  if (notice)
    return (
      <Cell
        text={notice.isError ? colors.red(oneLine(notice.text)) : colors.green(oneLine(notice.text))}
        width={columns}
      />
    );
  return <Cell text={colors.dim(keyHints(picture))} width={columns} />;
}

function health({ status }: Picture): string {
  if (!status) return '';
  const { degraded, chores } = status;
  if (degraded.length === 0)
    return `${colors.green('all well')}${colors.dim(chores ? `, chores by ${oneLine(chores.node)}` : '')}`;
  const list = degraded.map(({ subject, message }) => oneLine(`${subject} ${message}`)).join('; ');
  const paint = degraded.some(({ severity }) => severity === 'error') ? colors.red : colors.yellow;
  return paint(`${degraded.length} degraded: ${list}`);
}

function keyHints(picture: Picture): string {
  if (picture.isHelp) return 'any key goes back';
  const page = openPage(picture);
  const kind = page?.kind ?? KIND_OF_PANE[picture.focus];
  return [
    page ? 'esc back' : 'tab pane',
    page?.kind === 'task' ? 'j/k scroll' : 'j/k move  enter open',
    ...(kind === 'node' ? ['d drain  p pause  r resume'] : kind === 'task' || page ? ['c cancel'] : []),
    '? help  q quit',
  ].join('  ');
}

const KIND_OF_PANE = { nodes: 'node', lanes: 'lane', tasks: 'task', events: 'task' } as const;

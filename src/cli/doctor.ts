// `orch doctor`: is everything as orch needs it?
import { type Bus, compareVersions, SAFE_SERVER_VERSION } from '../bus/index.ts';
import { JOURNAL, OrchError } from '../protocol/index.ts';
import { command } from './command.ts';
import { connectionArgs, jsonArg, withBus } from './connection.ts';
import { colors, printJson, printLine } from './print.ts';

type Level = 'ok' | 'warning' | 'problem';

interface Finding {
  check: string;
  level: Level;
  text: string;
}

const CLOCK_SKEW_MS = 2_000;
const STORAGE_SHARE = 0.85;

export const doctor = command({
  name: 'doctor',
  description:
    'Check the server, its version and storage, the streams and their settings, the lanes and the clock.',
  args: { ...jsonArg, ...connectionArgs },
  examples: ['orch doctor', 'orch doctor --json | jq \'.[] | select(.level != "ok")\''],
  async run(args) {
    const findings = await withBus(args, examine);
    if (args.json) printJson(findings);
    else {
      const mark = {
        ok: colors.green('ok     '),
        warning: colors.yellow('warning'),
        problem: colors.red('problem'),
      };
      for (const { check, level, text } of findings)
        printLine(`${mark[level]}  ${check.padEnd(10)}  ${text}`);
    }
    const problems = findings.filter(finding => finding.level === 'problem').length;
    if (problems > 0)
      throw new OrchError('unsupported', `${problems} ${problems === 1 ? 'problem' : 'problems'} found`);
  },
});

async function examine(bus: Bus): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add = (check: string, level: Level, text: string) => findings.push({ check, level, text });
  const server = await bus.server();
  add(
    'server',
    'ok',
    `${server.name} at ${server.url}${server.cluster ? `, cluster ${server.cluster}` : ''}, ${server.rttMs} ms away`,
  );
  if (compareVersions(server.version, SAFE_SERVER_VERSION) < 0) {
    add(
      'version',
      'warning',
      `${server.version} has published vulnerabilities; ${SAFE_SERVER_VERSION} or newer before it listens beyond loopback`,
    );
  } else add('version', 'ok', server.version);
  const { storage, storageMax } = server;
  const share = storageMax > 0 ? storage / storageMax : 0;
  add(
    'storage',
    share > STORAGE_SHARE ? 'warning' : 'ok',
    `${mib(storage)} used${storageMax > 0 ? ` of ${mib(storageMax)}` : ', no limit set'}`,
  );
  const streams = await bus.streams();
  for (const stream of streams) {
    if (!stream.found)
      add(
        'stream',
        'warning',
        `${stream.name} does not exist; \`orch up\`, a worker or the first task creates it`,
      );
    else if (stream.differences.length > 0)
      add('stream', 'problem', `${stream.name} differs: ${stream.differences.join('; ')}`);
    else
      add(
        'stream',
        'ok',
        `${stream.name}: ${stream.messages} messages, ${mib(stream.bytes)}, ${stream.replicas} ${stream.replicas === 1 ? 'copy' : 'copies'}`,
      );
  }
  if (streams.every(stream => stream.found)) await examineUse(bus, add);
  return findings;
}

async function examineUse(bus: Bus, add: (check: string, level: Level, text: string) => void): Promise<void> {
  const lanes = await bus.lanes();
  const unserved = lanes.filter(lane => lane.waiting > 0 && lane.idleWorkers === 0 && lane.inFlight === 0);
  for (const lane of unserved)
    add(
      'lane',
      'warning',
      `${lane.consumer}: ${lane.waiting} wait and nobody takes them; is there a worker with --caps ${lane.lane.replaceAll('+', ',')}?`,
    );
  if (unserved.length === 0)
    add('lanes', 'ok', `${lanes.length} lanes, none that waits without being served`);
  const last = await bus.last(JOURNAL, 'journal.>');
  if (!last) return;
  // The writer's clock against the server's, on the newest entry.
  const written = Date.parse(
    String((JSON.parse(Buffer.from(last.bytes).toString('utf8')) as { at?: string }).at),
  );
  const skewMs = written - last.time.getTime();
  if (Number.isNaN(skewMs)) return;
  add(
    'clock',
    Math.abs(skewMs) > CLOCK_SKEW_MS ? 'warning' : 'ok',
    `the last writer's clock is ${Math.abs(Math.round(skewMs))} ms ${skewMs < 0 ? 'behind' : 'ahead of'} the server's`,
  );
}

const mib = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;

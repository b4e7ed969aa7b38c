import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Finished, runBench } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'orch-bench-'));
const summary = join(folder, 'summary.json');
const page = join(folder, 'page');
let run: Finished;

beforeAll(async () => {
  run = await runBench(['--smoke', '--sides', 'orch,bare,floor', '--summary-export', summary]);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('every scenario of the benchmark runs, and loses and doubles nothing', () => {
  expect([run.code, run.shown]).toEqual([0, expect.stringMatching(/checks_failed\S*: 0\.00%/)]);
});

test.each([
  ['dispatch', 'dispatch_p50_ratio{to:bare,sync:always}'],
  ['roundtrip', 'roundtrip_p50_ratio{to:bare,sync:always}'],
  ['throughput', 'throughput_ratio{to:bare,in_flight:20,sync:always}'],
  ['publish', 'publish_ratio{to:bare,in_flight:50,sync:always}'],
  ['drain', 'drain_ratio{to:bare,at_once:2 processes,sync:always}'],
  ['sustained', 'sustained{side:orch,sync:always}'],
  ['lanes', 'lanes_growth{side:orch,lanes:5,sync:always}'],
  ['backlog', 'backlog_growth{side:orch,queued:300,sync:always}'],
  ['recovery', 'recovery_worker{side:orch,sync:always}'],
  ['recovery', 'recovery_leader_gap{side:orch,replicas:3,sync:always}'],
  ['events', 'events_latency{side:orch,tails:5,sync:always}'],
  ['presence', 'presence_server_cpu{side:orch,nodes:50,sync:always}'],
  ['recall', 'recall_overhead{to:bare,sync:always}'],
  ['scatter', 'scatter_stopped_latency{side:orch,nodes:3,sync:always}'],
  ['durable', 'durable_throughput_share{side:orch-r3,sync:always}'],
  ['cli', 'cli_ratio{to:bare,sync:always}'],
])('%s exports %s', (_scenario, key) => {
  const { metrics } = JSON.parse(readFileSync(summary, 'utf8'));
  expect(Object.keys(metrics)).toContain(key);
});

test('the page is written from a summary, with every plot that it shows and the command that it came from', async () => {
  const written = await runBench(['--report-to', page, '--from', summary]);
  expect(written).toEqual({ code: 0, shown: '' });
  const text = readFileSync(join(page, 'RESULTS.md'), 'utf8');
  expect(text).toContain('npm run bench -- --smoke --sides orch,bare,floor');
  expect(text).toContain('## Where orch loses');
  const shown = [...text.matchAll(/\]\(plots\/(\S+\.svg)\)/g)].map(([, name]) => name);
  expect(readdirSync(join(page, 'plots')).sort()).toEqual(shown.sort());
  for (const name of shown) {
    const svg = readFileSync(join(page, 'plots', name ?? ''), 'utf8');
    expect(svg).toMatch(/^<svg [^>]*>[\s\S]*<\/svg>\n$/);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  }
});

test('the project’s own page takes no figures of a smoke run', async () => {
  const { code, shown } = await runBench(['--report', '--from', summary]);
  expect([code, shown]).toEqual([104, expect.stringContaining('figures of a smoke run mean nothing')]);
});

test('what was written into the page by hand is there in the next one', async () => {
  const file = join(page, 'RESULTS.md');
  const noted = readFileSync(file, 'utf8').replace('<!-- notes: begin -->', '$&\nThe profile shows it.');
  writeFileSync(file, noted);
  await runBench(['--report-to', page, '--from', summary]);
  expect(readFileSync(file, 'utf8')).toBe(noted);
});

test('a crossed threshold ends with 99, and with its value', async () => {
  const crossed = 'dispatch_p50_ratio{to:bare}:med<=0.001';
  // Piped, so without colour, even where a CI's variables ask for it.
  const { code, shown } = await runBench(
    ['--smoke', 'dispatch', '--sides', 'orch,bare', '--threshold', crossed],
    { CI: '1' },
  );
  expect([code, shown]).toEqual([99, expect.stringMatching(/✗ 'med<=0.001' med=\d/)]);
});

test.each([
  [['nosuch'], 'no scenario "nosuch": use dispatch'],
  [['--peer', 'kafka'], 'no peer "kafka": use bullmq'],
  [['--levels', '3'], '--levels is for one scenario at a time, of throughput'],
  [['--rounds', '0'], '--rounds "0" is not allowed: use a whole number from 1 to 100'],
  [['--smoke', '--report'], 'figures of a smoke run mean nothing'],
  [['--from', 'x.json'], '--from needs --report'],
  [['--report', '--from', 'x.json'], 'x.json is not a summary: ENOENT'],
  [['--smoke', 'cli', '--data', '/nosuch'], '--data: cannot write into /nosuch: ENOENT'],
  [
    ['--smoke', 'cli', '--summary-export', '/nosuch/x'],
    '--summary-export: cannot write into /nosuch: ENOENT',
  ],
  [['--smoke', 'cli', '--nats-server', 'package.json'], 'package.json is not a nats-server'],
  [['--smoke', 'durable', '--newer-server', 'nosuch'], 'nosuch is not a nats-server'],
])('%j is refused in one line', async (words, line) => {
  const { code, shown } = await runBench(words);
  expect([code, shown]).toEqual([104, expect.stringContaining(line)]);
  expect(shown.split('\n')).toHaveLength(3);
});

// The commands about nodes, agents and the cluster, as a person and as a program use them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestNats } from '../support/nats.ts';
import { Orch, type Running } from '../support/orch.ts';
import { until } from '../support/wait.ts';

let nats: TestNats;
let orch: Orch;
let worker: Running;
beforeAll(async () => {
  nats = await TestNats.start();
  orch = new Orch(nats.url);
  worker = await start(
    'builder',
    '--caps',
    'rust',
    '--agents',
    'alice,bob:group=ops',
    '--labels',
    'rack=7',
    '--metrics-port',
    '0',
  );
});
afterAll(async () => {
  orch[Symbol.dispose]();
  await nats[Symbol.asyncDispose]();
});

async function start(node: string, ...words: string[]): Promise<Running> {
  const started = orch.start(['worker', '--node', node, ...words]);
  await started.ready();
  return started;
}

const json = async (...words: string[]) => JSON.parse((await orch.run([...words, '--json'])).stdout);

describe('looking', () => {
  test('nodes, node, agents and status show what is there', async () => {
    expect(await json('nodes')).toMatchObject([
      { id: 'builder', presence: 'live', record: { labels: { rack: '7' } } },
    ]);
    expect(await json('node', 'builder')).toMatchObject({
      id: 'builder',
      tasks: [],
      lastEvent: { type: 'online' },
    });
    expect(await json('agents')).toMatchObject([
      { id: 'alice', owner: 'builder', visibility: 'isolated' },
      { id: 'bob', owner: 'builder', group: 'ops' },
    ]);
    const now = await until('the chores to be done', async () => {
      const status = await json('status');
      return status.chores && status;
    });
    expect(now).toMatchObject({ protocol: { min: 1, max: 1 }, chores: { node: 'builder' }, degraded: [] });
    const text = (await orch.run(['status'])).stdout;
    expect(text).toContain('all well');
    for (const line of text.split('\n')) expect(line).not.toContain('\u001b');
  });

  test('status and doctor report a lane that no node serves, with the next step', async () => {
    await orch.run(['publish-task', '--caps', 'freebsd', 'uname']);
    const { degraded, lanes } = await json('status');
    expect(degraded).toEqual([
      {
        subject: 'lane',
        id: 'medium_freebsd',
        severity: 'warning',
        message: 'medium_freebsd: 1 task waits, and no live node can serve it',
        advice: 'start one: `orch worker --caps freebsd`',
      },
    ]);
    for (const words of [['status'], ['doctor']])
      expect((await orch.run(words)).stdout).toMatch(
        /lane +medium_freebsd: 1 task waits, .*\n +start one: `orch worker --caps freebsd`\n/,
      );
    expect(lanes.find((lane: { lane: string }) => lane.lane === 'freebsd')).toMatchObject({
      waiting: 1,
      isServed: false,
    });
    expect(lanes.find((lane: { lane: string }) => lane.lane === 'freebsd').oldestMs).toBeGreaterThanOrEqual(
      0,
    );
  });

  test('status --watch shows it again until Ctrl-C', async () => {
    const watching = orch.start(['status', '--watch', '--json']);
    await until('two pictures', () => watching.stdout.split('\n').length > 2);
    watching.kill('SIGINT');
    expect((await watching.finished).code).toBe(0);
  });

  test('state shows one repository in multiclaude’s shape', async () => {
    await orch.run([
      'publish-task',
      '--caps',
      'rust',
      '--repo',
      'demo',
      '--description',
      'auth feature',
      'sleep 30',
    ]);
    await orch.run(['publish-task', '--caps', 'rust', '--repo', 'demo', 'true']);
    const state = await until('one to run', async () => {
      const now = await json('state', 'demo');
      return now.running.length === 1 && Object.keys(now.agents).length === 1 && now.agents.alice && now;
    });
    expect(state).toMatchObject({
      repo: 'demo',
      agents: { alice: { node: 'builder', status: 'working', task: 'auth feature' } },
      pending_tasks: 1,
    });
    expect((await orch.run(['cancel', ...state.running.map((task: { id: string }) => task.id)])).code).toBe(
      0,
    );
  });

  test('events show what happened to nodes and agents', async () => {
    const { stdout } = await orch.run(['events', '--since', '1h', '--no-follow']);
    expect(stdout).toMatch(/node builder {2}online/);
    expect(stdout).toMatch(/agent alice {2}owned/);
  });
});

describe('publishing to a lane that nobody serves', () => {
  test('is said on stderr, and the task waits', async () => {
    const { code, stdout, stderr } = await orch.run(['publish-task', '--caps', 'netbsd', 'uname']);
    expect(code).toBe(0);
    expect(stderr).toBe(`no known node can serve netbsd: task ${stdout.trim()} waits until one joins\n`);
    expect((await orch.run(['publish-task', '--caps', 'rust', 'true'])).stderr).toBe('');
  });

  test('is refused with --require-worker: exit 6, and nothing was published', async () => {
    const words = ['publish-task', '--id', 'required', '--caps', 'netbsd', '--require-worker', 'uname'];
    const { code, stdout, stderr } = await orch.run(words);
    expect([code, stdout]).toEqual([6, '']);
    expect(stderr).toContain('no known node can serve netbsd');
    expect((await orch.run(['task', 'required'])).code).toBe(4);
  });
});

describe('interfering', () => {
  test('drain, pause and resume say what became of the node', async () => {
    expect((await orch.run(['pause', 'builder'])).stdout).toMatch(/node builder is paused/);
    expect(await json('resume', 'builder')).toMatchObject({ node: 'builder', state: 'ready' });
  });

  test.each([[['drain', 'bilder']], [['node', 'bilder']]])(
    '%j: a node that is not there is exit 4, with the nearest name',
    async words => {
      const { code, stderr, stdout } = await orch.run(words);
      expect([code, stdout]).toEqual([4, '']);
      expect(stderr).toBe('orch: no node bilder\n      did you mean "builder"?\n');
    },
  );

  test('a node whose id is taken does not start: exit 5, and it is said where the other runs', async () => {
    const { code, stderr } = await orch.run(['worker', '--node', 'builder']);
    expect(code).toBe(5);
    expect(stderr).toMatch(/node builder runs already on host .*, process \d+\n/);
  });
});

describe('register-agent', () => {
  test('registers, keeps alive, and lets go; somebody else’s is exit 5, an unknown one exit 4', async () => {
    expect(
      (
        await orch.run([
          'register-agent',
          'carol:shared',
          '--as',
          'me',
          '--status',
          'working',
          '--task',
          't-1',
        ])
      ).code,
    ).toBe(0);
    expect((await json('agents')).find((agent: { id: string }) => agent.id === 'carol')).toMatchObject({
      status: 'working',
      task: 't-1',
      owner: expect.stringMatching(/^me@/),
    });
    expect((await orch.run(['register-agent', 'carol', '--as', 'you'])).code).toBe(5);
    expect((await orch.run(['register-agent', 'alice', '--as', 'me'])).code).toBe(5);
    expect((await orch.run(['register-agent', 'carol', '--as', 'me', '--release'])).code).toBe(0);
    expect((await orch.run(['register-agent', 'carol', '--as', 'me', '--release'])).code).toBe(4);
  });
});

describe('metrics and health', () => {
  const url = () => /"url":"(http:[^"]+)"/.exec(worker.stderr)?.[1] ?? '';

  test('a node serves what it counts, and the one that does the chores what the cluster has', async () => {
    const response = await fetch(`${url()}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    const text = await response.text();
    for (const name of [
      'orch_running',
      'orch_slots 1',
      'orch_node_utilisation',
      'orch_heartbeat_age_seconds',
      'orch_claim_latency_seconds_bucket',
      'orch_lease_renewals_total',
      'orch_redeliveries_total',
      'orch_fenced_writes_total',
      'orch_chore_holder 1',
      'orch_nodes{state="ready"} 1',
    ])
      expect(text).toContain(name);
    await orch.run(['publish-task', '--caps', 'rust', '--wait', 'true']);
    const after = await until('the figures to be new', async () => {
      const now = await (await fetch(`${url()}/metrics`)).text();
      return /orch_tasks\{state="done",lane="rust",priority="medium"\} [1-9]/.test(now) && now;
    });
    expect(after).toMatch(/orch_attempts_total\{state="done"\} [1-9]/);
    expect(after).toMatch(/orch_claim_latency_seconds_count [1-9]/);
    expect(after).toMatch(/orch_lane_waiting\{lane="freebsd",priority="medium"\} 1/);
    expect(after).toContain('orch_findings{severity="error"} 0');
    expect(after).toMatch(/orch_findings\{severity="warning"\} [1-9]/);
  });

  test('healthz and readyz: a paused node is alive and not ready', async () => {
    const status = async (path: string) => (await fetch(`${url()}${path}`)).status;
    expect([await status('/healthz'), await status('/readyz'), await status('/nothing')]).toEqual([
      200, 200, 404,
    ]);
    await orch.run(['pause', 'builder']);
    expect([await status('/healthz'), await status('/readyz')]).toEqual([200, 503]);
    await orch.run(['resume', 'builder']);
    expect(await status('/readyz')).toBe(200);
  });
});

describe('a configuration file', () => {
  const write = (value: unknown) => {
    mkdirSync(orch.home, { recursive: true });
    const file = join(orch.home, 'node.json');
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
    return file;
  };

  test('says what flags say, and a flag that is given wins', async () => {
    const file = write({
      node: 'filed',
      caps: ['gpu', 'linux'],
      agents: ['dora:shared'],
      labels: { rack: '8' },
      concurrency: 3,
    });
    const started = orch.start(['worker', '--config', file, '--concurrency', '2']);
    await started.ready();
    expect((await json('node', 'filed')).record).toMatchObject({
      capabilities: ['gpu', 'linux'],
      agents: [{ id: 'dora', visibility: 'shared' }],
      labels: { rack: '8' },
      capacity: { maxWorkers: 2 },
    });
    started.kill('SIGTERM');
    await started.finished;
  });

  test.each([
    ['{', /configuration .* cannot be read/],
    ['[]', /configuration .* is not a JSON object/],
    [{ capz: ['x'] }, /"capz" is not a setting\n +did you mean "caps"\?/],
    [{ 'keep-work': 'yes' }, /keep-work "yes" is not allowed: use true or false/],
    [{ concurrency: 0 }, /--concurrency "0" is not allowed/],
  ])('that says %j is refused', async (value, message) => {
    const { code, stderr } = await orch.run(['worker', '--config', write(value)]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});

describe('bad input', () => {
  test.each([
    [['worker', '--agents', 'alice:public'], /agent "alice:public" is not allowed/],
    [['worker', '--heartbeat', '5s', '--expiry', '6s'], /--expiry 6s is too short for a heartbeat of 5s/],
    [['worker', '--heartbeat', '1ms'], /--heartbeat "1ms" is out of range/],
    [['worker', '--replicas', '2'], /--replicas "2" is not allowed: use 1, 3 or 5/],
    [['worker', '--metrics-port', 'x'], /--metrics-port "x" is not allowed/],
    [['register-agent', 'x', '--status', 'bussy'], /--status "bussy" is not allowed/],
    [['drain', 'a.b'], /node "a.b" is not allowed/],
  ])('orch %j', async (words, message) => {
    const { code, stderr, stdout } = await orch.run(words);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([2, '']);
  });

  test('more copies than a single server can hold are refused in one line, exit 2', async () => {
    const { code, stderr } = await orch.run(['worker', '--replicas', '3', '--log-level', 'error']);
    expect(stderr).toBe(
      'orch: 3 copies of a stream need a cluster of servers\n      leave --replicas and ORCH_REPLICAS out on a single server\n',
    );
    expect(code).toBe(2);
  });

  test('a metrics port that is taken is one line, and exit 3', async () => {
    const port = new URL(/"url":"(http:[^"]+)"/.exec(worker.stderr)?.[1] ?? '').port;
    const { code, stderr } = await orch.run(['worker', '--metrics-port', port]);
    expect(code).toBe(3);
    expect(stderr).toContain('the port is taken');
  });
});

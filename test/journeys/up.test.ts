import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort, freePorts } from '../../src/server/index.ts';
import { Orch } from '../support/orch.ts';
import { until } from '../support/wait.ts';

let orch: Orch | undefined;
afterEach(() => orch?.[Symbol.dispose]());

/** The nats-server that a process has started; 0 while there is none. */
function serverOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  return (
    children.find(
      child =>
        child > 0 && commandOf(child).includes('nats-server.conf') && !commandOf(child).startsWith('/bin/sh'),
    ) ?? 0
  );
}

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');

function isRunning(pid: number): boolean {
  try {
    return commandOf(pid) !== '';
  } catch {
    return false;
  }
}

test('a free port is none that the system gives to a connection', async () => {
  const given = () =>
    new Promise<number>(resolve => {
      const probe = createServer().listen(0, '127.0.0.1', () => {
        const { port } = probe.address() as AddressInfo;
        probe.close(() => resolve(port));
      });
    });
  const ofSystem = await Promise.all(Array.from({ length: 50 }, given));
  expect(Math.max(...(await freePorts(50)))).toBeLessThan(Math.min(...ofSystem));
});

describe('orch up', () => {
  test('runs a server and a worker, keeps the tasks over a restart, and Ctrl-C stops all', async () => {
    orch = new Orch();
    const port = await freePort();
    const url = `nats://127.0.0.1:${port}`;
    const up = orch.start(['up', '--port', String(port), '--caps', 'here']);
    await until('it to be up', () => up.stdout.includes('second machine'));
    const env = { NATS_URL: url };
    expect(await orch.run(['publish-task', '--caps', 'here', '--wait', 'echo hi'], { env })).toMatchObject({
      code: 0,
      stdout: 'hi\n',
    });
    await orch.run(['publish-task', '--id', 'kept', '--caps', 'nobody', 'x'], { env });
    up.kill('SIGINT');
    expect((await up.finished).code).toBe(0);
    expect((await orch.run(['tasks'], { env })).code).toBe(3);
    const again = orch.start(['up', '--port', String(port)]);
    await until('it to be up', () => again.stdout.includes('second machine'));
    expect(JSON.parse((await orch.run(['task', 'kept', '--json'], { env })).stdout).task.state).toBe(
      'queued',
    );
    again.kill('SIGTERM');
    expect((await again.finished).code).toBe(0);
  });

  test('a second one on the same folder, and one on a taken port, are refused in one line', async () => {
    orch = new Orch();
    const port = await freePort();
    const up = orch.start(['up', '--port', String(port)]);
    await until('it to be up', () => up.stdout.includes('second machine'));
    const sameFolder = await orch.run(['up', '--port', '0']);
    expect([sameFolder.code, sameFolder.stderr]).toEqual([
      2,
      expect.stringMatching(/^orch: data folder .* is in use by process \d+\n/),
    ]);
    const samePort = await orch.run(['up', '--port', String(port), '--data', join(orch.home, 'other')]);
    expect([samePort.code, samePort.stderr]).toEqual([
      3,
      expect.stringMatching(/^orch: cannot listen on 127.0.0.1:\d+: the port is taken\n/),
    ]);
    up.kill('SIGTERM');
    await up.finished;
  });

  test('a nats-server that dies is an error, not a quiet end', async () => {
    orch = new Orch();
    const up = orch.start(['up', '--port', '0']);
    await until('it to be up', () => up.stdout.includes('second machine'));
    process.kill(serverOf(up.pid), 'SIGKILL');
    const { code, stderr } = await up.finished;
    expect([code, stderr]).toEqual([3, expect.stringMatching(/nats-server ended\n +see .*nats-server\.log/)]);
  });

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'its nats-server does not outlive a %s, whenever it comes',
    async signal => {
      orch = new Orch();
      for (const when of ['starting', 'ready']) {
        const up = orch.start(['up', '--port', '0']);
        const server = await until('the server to run', () => serverOf(up.pid));
        if (when === 'ready') await until('it to be up', () => up.stdout.includes('second machine'));
        up.kill(signal);
        await up.finished;
        await until('the server to be gone', () => !isRunning(server));
      }
    },
  );

  test('a folder that cannot be written is refused in one line', async () => {
    orch = new Orch();
    const file = join(orch.home, 'file');
    writeFileSync(file, '');
    const { code, stderr } = await orch.run(['up', '--port', '0', '--data', join(file, 'nats')]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^orch: data folder .* is not writable: /)]);
  });

  test('a killed one leaves no lock behind', async () => {
    orch = new Orch();
    const folder = join(orch.home, 'data', 'orch', 'nats');
    mkdirSync(folder, { recursive: true });
    // A process that cannot exist.
    writeFileSync(join(folder, 'orch.lock'), '4194304999');
    const up = orch.start(['up', '--port', '0']);
    await until('it to be up', () => up.stdout.includes('second machine'));
    up.kill('SIGTERM');
    expect((await up.finished).code).toBe(0);
  });

  test('a server that was named and is too old, or none at all, is refused with what is needed', async () => {
    orch = new Orch();
    const old = join(orch.home, 'old-nats-server');
    writeFileSync(old, '#!/bin/sh\necho "nats-server: v2.10.29"\n');
    chmodSync(old, 0o755);
    const { code, stderr } = await orch.run(['up', '--port', '0', '--nats-server', old]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/old-nats-server is version 2\.10\.29; 2\.12\.0 or newer is needed/),
    ]);
    expect((await orch.run(['up', '--nats-server', '/nowhere'])).stderr).toMatch(
      /\/nowhere is not a nats-server/,
    );
  });

  test('beyond its usual address it takes a token, which the printed lines carry', async () => {
    orch = new Orch();
    const port = await freePort();
    // Loopback all the same, but not the address that needs no credentials.
    const words = [
      'up',
      '--listen',
      '127.0.0.2',
      '--port',
      String(port),
      '--allow-old-server',
      '--sync',
      '1s',
    ];
    const up = orch.start(words);
    await until('it to be up', () => up.stdout.includes('second machine'));
    const token = /second machine +NATS_TOKEN=(\S+) orch worker -s nats:/.exec(up.stdout)?.[1] ?? '';
    const server = ['-s', `nats://127.0.0.2:${port}`];
    expect((await orch.run(['lanes', ...server])).code).toBe(9);
    expect((await orch.run(['lanes', ...server], { env: { NATS_TOKEN: token } })).code).toBe(0);
    up.kill('SIGTERM');
    expect((await up.finished).code).toBe(0);
  });

  test('beyond loopback it refuses a server with known vulnerabilities unless told to', async () => {
    orch = new Orch();
    const old = join(orch.home, 'nats-server');
    writeFileSync(old, '#!/bin/sh\necho "nats-server: v2.14.0"\n');
    chmodSync(old, 0o755);
    const { code, stderr } = await orch.run([
      'up',
      '--port',
      '0',
      '--listen',
      '0.0.0.0',
      '--nats-server',
      old,
    ]);
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(
        /2\.14\.0 .* known vulnerabilities; refusing to listen on 0\.0\.0\.0\n +upgrade to 2\.14\.3 or newer, or pass --allow-old-server/,
      ),
    ]);
  });
});

describe('a server that is too old', () => {
  test('is refused at connect with the version found and the version needed', async () => {
    orch = new Orch();
    // The first line that a server says is all that the check reads.
    const info = {
      server_id: 'x',
      version: '2.9.25',
      jetstream: true,
      headers: true,
      max_payload: 1_048_576,
      proto: 1,
    };
    const fake = createServer(socket => {
      socket.write(`INFO ${JSON.stringify(info)}\r\n`);
      socket.on('data', data => data.includes('PING') && socket.write('PONG\r\n'));
      socket.on('error', () => {});
    });
    const port = await freePort();
    await new Promise<void>(resolve => fake.listen(port, '127.0.0.1', resolve));
    const { code, stderr } = await orch.run(['tasks', '-s', `nats://127.0.0.1:${port}`]);
    fake.close();
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(/nats-server 2\.9\.25 at .* is too old, 2\.12\.0 or newer is needed/),
    ]);
  });
});

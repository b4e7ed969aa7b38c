// `npm run test:containers`: the tests that need a Docker engine. Without one it says so and succeeds, so that the same
// line works everywhere. What they need beyond orch is installed here, on first use, and never runs install scripts.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, urlToHttpOptions } from 'node:url';

const PING_MS = 3_000;
const here = import.meta.dirname;
const root = fileURLToPath(new URL('../..', import.meta.url));

const given = process.env.DOCKER_HOST;
const engine = await firstAnswering(given ? [given] : defaultSockets());
if (engine === undefined) {
  const where = given ? `at ${given}` : 'at DOCKER_HOST (not set) or a default socket';
  console.log(`no Docker engine answers ${where}; container tests skipped`);
  process.exit(0);
}

if (!isInstalled()) run('npm', ['ci', '--ignore-scripts', '--prefix', here]);
run(process.execPath, [bin('typescript/bin/tsc'), '--noEmit', '-p', here]);
const config = join(here, 'vitest.config.ts');
run(process.execPath, [bin('vitest/vitest.mjs'), 'run', '--config', config, ...process.argv.slice(2)]);

/** Runs a command in the project's root; the first that fails ends this process with its exit code. */
function run(command, args) {
  const shell = process.platform === 'win32' && command === 'npm';
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', shell });
  if (error) console.error(`cannot run ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function bin(path) {
  return join(root, 'node_modules', path);
}

function isInstalled() {
  const installed = join(here, 'node_modules/.package-lock.json');
  return (
    existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(here, 'package-lock.json')).mtimeMs
  );
}

/** The sockets that testcontainers tries when DOCKER_HOST is not set. */
function defaultSockets() {
  if (process.platform === 'win32') return ['npipe:////./pipe/docker_engine'];
  const runtimeDir = process.env.XDG_RUNTIME_DIR ?? `/run/user/${process.getuid?.()}`;
  return [
    '/var/run/docker.sock',
    join(runtimeDir, 'docker.sock'),
    join(homedir(), '.docker/run/docker.sock'),
    join(homedir(), '.docker/desktop/docker.sock'),
  ].map(path => `unix://${path}`);
}

async function firstAnswering(hosts) {
  for (const host of hosts) if (await answers(host)) return host;
  return undefined;
}

/** Any answer counts: an engine that wants TLS says so in plain HTTP. */
function answers(host) {
  return new Promise(resolve => {
    const [, scheme, address] = /^(\w+):\/\/(.+)$/.exec(host) ?? [];
    const isSocket = scheme === 'unix' || scheme === 'npipe';
    const isNetwork = scheme === 'tcp' && URL.canParse(`http://${address}`);
    if (!isSocket && !isNetwork) return resolve(false);
    const target = isSocket ? { socketPath: address } : urlToHttpOptions(new URL(`http://${address}`));
    const request = get({ ...target, path: '/_ping', timeout: PING_MS }, response => {
      response.resume();
      resolve(true);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

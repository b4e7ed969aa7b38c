// examples/watch.sh with the real nats command: the one on PATH, else one that is built from source.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { paths } from '../../../src/config/index.ts';
import { Examples } from '../../support/example-programs.ts';
import { TestNats } from '../../support/nats.ts';
import { Orch } from '../../support/orch.ts';
import { findProgram, hasProgram } from '../../support/programs.ts';

const MODULE = 'github.com/nats-io/natscli/nats@v0.5.1';
const onPath = findProgram('nats');

/** The folder of the nats command. A build is kept in the user's cache, for it takes minutes. */
async function natsCommandFolder(): Promise<string> {
  if (onPath !== undefined) return dirname(onPath);
  const folder = join(paths().cache, MODULE.replace(/^.*@/, 'natscli-'));
  if (!existsSync(join(folder, 'nats')))
    await promisify(execFile)('go', ['install', MODULE], { env: { ...process.env, GOBIN: folder } });
  return folder;
}

describe.skipIf(onPath === undefined && !hasProgram('go'))('the watch with the nats command', () => {
  let folder: string;
  let nats: TestNats;
  let orch: Orch;
  let examples: Examples;
  beforeAll(async () => {
    folder = await natsCommandFolder();
    nats = await TestNats.start();
    orch = new Orch(nats.url);
    examples = new Examples(orch);
  });
  afterAll(async () => {
    examples?.[Symbol.dispose]();
    orch?.[Symbol.dispose]();
    await nats?.[Symbol.asyncDispose]();
  });

  test('shows each event with its subject and its record', async () => {
    const watch = examples.start(['examples/watch.sh'], { path: folder });
    await expect
      .poll(() => watch.stdout + watch.stderr, { timeout: 30_000 })
      .toMatch(/Subscribing on events\.>/);
    // The line is printed before the server knows of the subscription.
    let published = 0;
    const isShown = async () => {
      published++;
      await orch.run(['publish-task', '--id', `watched-${published}`, '--caps', 'nowhere', 'true']);
      return watch.stdout;
    };
    await expect
      .poll(isShown, { timeout: 30_000 })
      .toMatch(/"events\.task\.watched-\d+\.queued\.[^"]+"[\s\S]*"type":"queued"/);
    watch.interrupt();
    await watch.finished;
  });
});

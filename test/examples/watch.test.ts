// examples/watch.sh where the nats command is not installed. With it: test/examples/installs.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Examples } from '../support/example-programs.ts';
import { TestNats } from '../support/nats.ts';
import { Orch } from '../support/orch.ts';

let nats: TestNats;
let orch: Orch;
let examples: Examples;
beforeAll(async () => {
  nats = await TestNats.start();
  orch = new Orch(nats.url);
  examples = new Examples(orch);
});
afterAll(async () => {
  examples[Symbol.dispose]();
  orch[Symbol.dispose]();
  await nats[Symbol.asyncDispose]();
});

test('the watch shows what happens as orch events does, where nats is not installed', async () => {
  const watch = examples.start(['examples/watch.sh'], { path: '' });
  // It has no way to report that it is subscribed, so tasks are published until it shows one.
  let published = 0;
  const isShown = async () => {
    published++;
    await orch.run(['publish-task', '--id', `watched-${published}`, '--caps', 'nowhere', 'true']);
    return watch.stdout;
  };
  await expect.poll(isShown, { timeout: 30_000 }).toMatch(/ watched-\d+ .*queued/);
  watch.interrupt();
  expect((await watch.finished).code).toBe(0);
});

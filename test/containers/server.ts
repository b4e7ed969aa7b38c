// A nats-server in a container, with JetStream on its own disk layer and every write synced, as orch starts its own.
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers';
import { freePort } from '../../src/server/index.ts';
import type { LaunchOptions, TestServer } from '../support/nats.ts';

const IMAGE = process.env['ORCH_TEST_NATS_IMAGE'] ?? 'nats:2';
const CLIENT_PORT = 4222;
const START_MS = 60_000;
const CONFIG_PATH = '/orch.conf';

/** A server that is not started yet. Its host port is chosen now, so that it outlives a restart or a lost network. */
export async function serverContainer(extraConfig: string): Promise<GenericContainer> {
  const content = `jetstream { store_dir: "/data", sync_interval: always }\n${extraConfig}\n`;
  return (
    new GenericContainer(IMAGE)
      .withCopyContentToContainer([{ content, target: CONFIG_PATH }])
      .withCommand(['-js', '-c', CONFIG_PATH])
      .withExposedPorts({ container: CLIENT_PORT, host: await freePort() })
      // The image has no shell, which the default strategy would look for.
      .withWaitStrategy(Wait.forLogMessage('Server is ready'))
      .withStartupTimeout(START_MS)
  );
}

export const urlOf = (container: { getHost(): string; getMappedPort(port: number): number }): string =>
  `nats://${container.getHost()}:${container.getMappedPort(CLIENT_PORT)}`;

/** Starts one server for a test file. */
export async function launchContainer({ extraConfig = '' }: LaunchOptions): Promise<TestServer> {
  const container = await (await serverContainer(extraConfig)).start();
  return {
    url: urlOf(container),
    async kill() {
      const runtime = await getContainerRuntimeClient();
      await runtime.container.getById(container.getId()).kill();
    },
    restart: () => container.restart(),
    async stop() {
      await container.stop();
    },
  };
}

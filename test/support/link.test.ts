// The link that tests break: what it holds back, what it sends late, and what is lost.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Link } from './link.ts';
import { until } from './wait.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Side {
  socket: Socket;
  received: string;
  isClosed: boolean;
}

const sideOf = (socket: Socket): Side => {
  const side: Side = { socket, received: '', isClosed: false };
  socket.setEncoding('utf8').on('data', text => {
    side.received += text;
  });
  socket
    .on('error', () => {})
    .on('close', () => {
      side.isClosed = true;
    });
  return side;
};

async function linked(): Promise<{ link: Link; client: Side; server: Side; dial(): Side }> {
  const accepted: Socket[] = [];
  const listener = createServer(socket => accepted.push(socket)).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  const link = await Link.to(`nats://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
  cleanups.push(
    () => listener.close(),
    () => link[Symbol.asyncDispose](),
  );
  const dial = () => sideOf(connect(Number(new URL(link.url).port), '127.0.0.1'));
  const client = dial();
  const socket = await until('the server to accept', () => accepted[0]);
  return { link, client, server: sideOf(socket), dial };
}

describe('a link', () => {
  test('that is cut lets nothing through, and all of it once it is healed', async () => {
    const { link, client, server } = await linked();
    link.cut();
    client.socket.write('up');
    server.socket.write('down');
    await expect(until('anything to arrive', () => client.received + server.received, 200)).rejects.toThrow(
      'waited',
    );
    link.heal();
    await until('both to arrive', () => server.received === 'up' && client.received === 'down');
  });

  test('that is cut in one direction lets the other through', async () => {
    const { link, client, server } = await linked();
    link.cut('client');
    server.socket.write('down');
    client.socket.write('up');
    await until('the server to receive', () => server.received === 'up');
    expect(client.received).toBe('');
    link.heal();
    await until('the client to receive', () => client.received === 'down');
  });

  test('that is slow keeps the order, also when it becomes quick again', async () => {
    const { link, client, server } = await linked();
    link.delay(300);
    client.socket.write('late ');
    const beganAt = performance.now();
    // The first has to be read by the link before it becomes quick.
    await until('the link to have it', () => performance.now() - beganAt > 100);
    link.heal();
    client.socket.write('soon');
    await until('both to arrive', () => server.received === 'late soon');
    expect(performance.now() - beganAt).toBeGreaterThan(250);
  });

  test('that is reset loses what it held back, and takes new connections', async () => {
    const { link, client, server, dial } = await linked();
    link.cut();
    client.socket.write('lost');
    link.reset();
    await until('both to be closed', () => client.isClosed && server.isClosed);
    expect(server.received).toBe('');
    const again = dial();
    await once(again.socket, 'connect');
    expect(again.isClosed).toBe(false);
    again.socket.destroy();
  });

  test('that refuses ends its connections and new ones', async () => {
    const { link, client, dial } = await linked();
    link.refuse();
    await until('the connection to end', () => client.isClosed);
    const again = dial();
    await until('the new one to end', () => again.isClosed);
  });
});

// A link to a server that can be cut: a TCP relay that lets nothing through while it is, and does not tell either side.
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Link implements AsyncDisposable {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #upstreams = new Set<Socket>();
  #isCut = false;
  readonly url: string;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  static async to(url: string): Promise<Link> {
    const { hostname, port } = new URL(url);
    let link: Link;
    const server = createServer(client => link.#relay(client, connect(Number(port), hostname)));
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    link = new Link(server, `nats://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
    return link;
  }

  /** From now on nothing arrives on either side. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** From now on nothing that the server sends arrives. */
  cutAnswers(): void {
    for (const socket of this.#upstreams) socket.pause();
  }

  /** What was sent meanwhile arrives, as after a network's outage. */
  heal(): void {
    this.#isCut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Closes the connections: what was sent and has not arrived is lost. New ones are let through. */
  reset(): void {
    this.#isCut = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  get #sockets(): Socket[] {
    return [...this.#clients, ...this.#upstreams];
  }

  #relay(client: Socket, upstream: Socket): void {
    for (const [from, to, side] of [
      [client, upstream, this.#clients],
      [upstream, client, this.#upstreams],
    ] as const) {
      side.add(from);
      from.on('data', bytes => to.write(bytes));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        side.delete(from);
        to.destroy();
      });
      if (this.#isCut) from.pause();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }
}

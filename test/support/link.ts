// A link to a server that can be broken: a TCP relay that holds back what is sent, in one direction or both, sends it
// late, or refuses. Neither side is notified, as on a network that loses packets; what was held back arrives once the
// link is healed, unless its connections are reset first.
import { connect, createServer, type Server, type Socket } from 'node:net';

/** The end of a link that something is sent to. */
export type End = 'server' | 'client';

export class Link implements AsyncDisposable {
  readonly #server: Server;
  readonly #pipes = new Set<Pipe>();
  #held: ReadonlySet<End> = new Set();
  #isRefusing = false;
  #delayMs = 0;
  readonly url: string;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  static async to(url: string): Promise<Link> {
    const { hostname, port } = new URL(url);
    let link: Link;
    const server = createServer(client => link.#relay(client, () => connect(Number(port), hostname)));
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    link = new Link(server, `nats://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
    return link;
  }

  /** From now on nothing arrives at these ends; default neither. */
  cut(...ends: readonly End[]): void {
    this.#held = new Set(ends.length > 0 ? ends : (['server', 'client'] as const));
    for (const pipe of this.#pipes) pipe.isHeld = this.#held.has(pipe.to);
  }

  /** From now on connections end and new ones are reset. */
  refuse(): void {
    this.#isRefusing = true;
    this.#end();
  }

  /** From now on everything arrives so much later. */
  delay(byMs: number): void {
    this.#delayMs = byMs;
  }

  /** Closes the connections: what was sent and has not arrived is lost. New ones are let through. */
  reset(): void {
    this.#end();
    this.heal();
  }

  /** What was sent meanwhile arrives, as after a network's outage. */
  heal(): void {
    this.#isRefusing = false;
    this.#delayMs = 0;
    this.#held = new Set();
    for (const pipe of this.#pipes) pipe.isHeld = false;
  }

  #end(): void {
    for (const pipe of this.#pipes) pipe.end();
  }

  #relay(client: Socket, open: () => Socket): void {
    client.setNoDelay();
    if (this.#isRefusing) {
      client.on('error', () => {}).resetAndDestroy();
      return;
    }
    const upstream = open().setNoDelay();
    this.#pipe(client, upstream, 'server');
    this.#pipe(upstream, client, 'client');
  }

  #pipe(from: Socket, into: Socket, to: End): void {
    const pipe = new Pipe(from, into, to, () => this.#delayMs);
    this.#pipes.add(pipe);
    pipe.isHeld = this.#held.has(to);
    from.once('close', () => this.#pipes.delete(pipe));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }
}

/** One direction of one connection. */
class Pipe {
  readonly to: End;
  readonly #from: Socket;
  readonly #into: Socket;
  readonly #delayMs: () => number;
  /** What is delayed, in its order. */
  readonly #late: { bytes: Buffer; dueAt: number }[] = [];

  constructor(from: Socket, into: Socket, to: End, delayMs: () => number) {
    this.to = to;
    this.#from = from;
    this.#into = into;
    this.#delayMs = delayMs;
    from.on('data', bytes => this.#send(bytes));
    from.on('error', () => into.destroy());
    from.on('close', () => into.destroy());
  }

  set isHeld(isHeld: boolean) {
    if (isHeld) this.#from.pause();
    else this.#from.resume();
  }

  end(): void {
    this.#from.destroy();
    this.#into.destroy();
  }

  #send(bytes: Buffer): void {
    const delayMs = this.#delayMs();
    if (delayMs === 0 && this.#late.length === 0) this.#into.write(bytes);
    else if (this.#late.push({ bytes, dueAt: performance.now() + delayMs }) === 1) this.#sendLate();
  }

  // One timer for the first of them: what came later, with a shorter delay perhaps, does not overtake it.
  #sendLate(): void {
    const first = this.#late[0];
    if (!first) return;
    const waitMs = first.dueAt - performance.now();
    if (waitMs > 0) {
      setTimeout(() => this.#sendLate(), waitMs);
      return;
    }
    this.#into.write(first.bytes);
    this.#late.shift();
    this.#sendLate();
  }
}

// The server at the other end: whether it is there, how often it came back, and what it reports about itself.
import { OrchError, withoutCredentials } from '../protocol/index.ts';
import { DEFAULT_SERVER, payloadBytesMax } from './connect.ts';
import { toOrchError } from './errors.ts';
import type { Link } from './link.ts';

export interface ServerFacts {
  name: string;
  version: string;
  url: string;
  cluster: string | undefined;
  rttMs: number;
  /** JetStream storage of the account, in bytes; -1 = no limit. */
  storage: number;
  storageMax: number;
  memory: number;
  memoryMax: number;
}

export class Server {
  readonly #link: Link;
  readonly #onReconnect = new Set<() => void>();
  #isConnected = true;
  #reconnects = 0;

  constructor(link: Link) {
    this.#link = link;
    void this.#watch();
  }

  /** Whether a server is there at the moment. */
  get isConnected(): boolean {
    return this.#isConnected && !this.#link.nc.isClosed();
  }

  /** How often a lost server was found again, or another one. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** The largest message that the server takes, in bytes; its `max_payload`. */
  get payloadBytesMax(): number {
    return payloadBytesMax(this.#link.nc);
  }

  /** The servers that this was connected to, without credentials. */
  get urls(): string[] {
    const { servers } = this.#link.options;
    return (servers?.length ? servers : [DEFAULT_SERVER]).map(withoutCredentials);
  }

  /** Calls back after each reconnect: what was sent while the server was away is gone. Returns how to stop that. */
  onReconnect(callback: () => void): () => void {
    this.#onReconnect.add(callback);
    return () => this.#onReconnect.delete(callback);
  }

  /** Asks the server about itself. Throws `unavailable`. */
  async facts(): Promise<ServerFacts> {
    const { nc } = this.#link;
    const { info } = nc;
    if (!info) throw new OrchError('unavailable', 'not connected');
    try {
      const manager = await this.#link.manager();
      const [rttMs, account] = await Promise.all([nc.rtt(), manager.getAccountInfo()]);
      return {
        name: info.server_name ?? info.server_id,
        version: info.version,
        url: nc.getServer(),
        cluster: info.cluster,
        rttMs,
        storage: account.storage,
        storageMax: account.limits.max_storage,
        memory: account.memory,
        memoryMax: account.limits.max_memory,
      };
    } catch (error) {
      throw toOrchError(error, 'cannot ask the server about itself');
    }
  }

  async #watch(): Promise<void> {
    for await (const status of this.#link.nc.status()) {
      if (status.type === 'disconnect') this.#isConnected = false;
      if (status.type !== 'reconnect') continue;
      this.#isConnected = true;
      this.#reconnects++;
      for (const callback of this.#onReconnect) callback();
    }
  }
}

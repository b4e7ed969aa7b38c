// Core NATS: requests to one or to many, the micro services that answer them, and live subscriptions.
import { type Asked, ask, type GatherOptions, gather } from './ask.ts';
import type { Link } from './link.ts';
import type { Service, ServiceOptions } from './service.ts';
import { type OnMessage, subscribe } from './subscribe.ts';

export class Requests {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Asks the one that serves a subject. Throws `too_large` over the server's max_payload. */
  ask(subject: string, body: unknown, timeoutMs: number): Promise<Asked> {
    return ask(this.#link.nc, subject, body, timeoutMs);
  }

  /** Asks all that serve a subject; returns at the deadline, or when the last expected reply came. */
  gather(subject: string, body: unknown, options: Omit<GatherOptions, 'inboxPrefix'>): Promise<void> {
    return gather(this.#link.nc, subject, body, { ...options, inboxPrefix: this.#link.options.inboxPrefix });
  }

  /** Starts a micro service that answers requests. */
  async service(options: ServiceOptions): Promise<Service> {
    const { Service } = await import('./service.ts');
    return Service.start(this.#link.nc, options);
  }

  /**
   * Subscribes to live messages; returns how to stop. What the callback throws goes to `onError`, and the subscription
   * lives on.
   */
  subscribe(subject: string, callback: OnMessage, onError?: (error: unknown) => void): () => void {
    return subscribe(this.#link.nc, subject, callback, onError);
  }
}

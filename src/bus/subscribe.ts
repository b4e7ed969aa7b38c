// A core subscription whose read loop survives its callback: the client stops reading for minutes when one throws.
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';

/** Headers are parsed on first use. */
export type OnMessage = (subject: string, bytes: Uint8Array, message: { headers?: MsgHdrs }) => void;

/** Subscribes to live messages; returns how to stop. What the callback throws goes to `onError`. */
export function subscribe(
  nc: NatsConnection,
  subject: string,
  callback: OnMessage,
  onError: (error: unknown) => void = () => {},
): () => void {
  const subscription = nc.subscribe(subject, {
    callback: (error, msg) => {
      if (error) return onError(error);
      try {
        callback(msg.subject, msg.data, msg);
      } catch (thrown) {
        onError(thrown);
      }
    },
  });
  return () => subscription.unsubscribe();
}

// Credentials in the URL of a server: `nats://user:password@host` or `nats://token@host`, with or without the scheme.
// The one place that reads them and takes them out. What precedes the last @ counts as credentials, even where a URL
// is malformed, so that no message or log shows a password.
import { OrchError } from './errors.ts';

const CREDENTIALS = /^([a-z][a-z0-9+.-]*:\/\/)?(.*)@/is;

/** The URL without user, password and token, for messages, logs and child processes. */
export const withoutCredentials = (url: string): string => url.replace(CREDENTIALS, '$1');

/** The user and password, or the token, that a URL carries. Throws `usage` when they are not percent-encoded. */
export function credentialsIn(
  url: string,
): { user: string; password: string } | { token: string } | undefined {
  const encoded = CREDENTIALS.exec(url)?.[2];
  if (encoded === undefined) return undefined;
  try {
    const [name = '', password] = encoded.split(/:(.*)/s).map(decodeURIComponent);
    return password === undefined ? { token: name } : { user: name, password };
  } catch {
    throw new OrchError('usage', `the credentials in ${withoutCredentials(url)} are not percent-encoded`, {
      advice: 'write % as %25, : as %3A and @ as %40, or use NATS_USER and NATS_PASSWORD',
    });
  }
}

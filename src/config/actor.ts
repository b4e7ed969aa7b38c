// The default actor: the user of this process.
import { userInfo } from 'node:os';
import { idFrom } from '../protocol/index.ts';

let known: string | undefined;

/** The user of this process as one subject token. */
export function defaultActor(): string {
  // Cached: a publisher needs it for each task.
  known ??= userToken();
  return known;
}

function userToken(): string {
  try {
    return idFrom(userInfo().username);
  } catch {
    // A container may run as a user id without a name.
    return 'user';
  }
}

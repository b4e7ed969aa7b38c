// Who acts when nobody is named.
import { userInfo } from 'node:os';
import { idFrom } from '../protocol/index.ts';

/** The user of this process as one subject token. */
export function defaultActor(): string {
  try {
    return idFrom(userInfo().username);
  } catch {
    // A container may run as a user id without a name.
    return 'user';
  }
}

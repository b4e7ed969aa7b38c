// Where orch keeps what on this machine.
import { join } from 'node:path';
import envPaths from 'env-paths';

/** Where the memories of agents are when nobody says otherwise. */
export const memoryDir = (): string => join(paths().data, 'memory');

/** The user's data, config and cache folders for orch, by the platform's custom (XDG on Linux). */
export function paths(): { data: string; config: string; cache: string } {
  const { data, config, cache } = envPaths('orch', { suffix: '' });
  return { data, config, cache };
}

// The folders that orch uses on this machine.
import { join } from 'node:path';
import envPaths from 'env-paths';

/** The default folder of the agents' memories. */
export const memoryDir = (): string => join(paths().data, 'memory');

/** The user's data, config and cache folders for orch, by the platform's convention (XDG on Linux). */
export function paths(): { data: string; config: string; cache: string } {
  const { data, config, cache } = envPaths('orch', { suffix: '' });
  return { data, config, cache };
}

// Where orch keeps what on this machine.
import envPaths from 'env-paths';

/** The user's data, config and cache folders for orch, by the platform's custom (XDG on Linux). */
export function paths(): { data: string; config: string; cache: string } {
  const { data, config, cache } = envPaths('orch', { suffix: '' });
  return { data, config, cache };
}

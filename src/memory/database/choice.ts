// Chooses the driver of this process, once: libsql where its native module loads, else Node's own SQLite, which is there
// from Node 22.13 on. A machine with neither, such as FreeBSD with Node 20, has no memories.
import { messageOf, OrchError } from '../../protocol/index.ts';
import type { Driver } from './driver.ts';

let chosen: Promise<Driver> | undefined;

/** The driver of this machine. Throws `unsupported` where there is none, in one line. */
export function chooseDriver(): Promise<Driver> {
  chosen ??= choose();
  return chosen;
}

/** The name of the driver of this machine. Throws `unsupported` where there is none. */
export const driverName = async (): Promise<Driver['name']> => (await chooseDriver()).name;

// Each is loaded only when it is needed: libsql is ten megabytes of native code.
async function choose(): Promise<Driver> {
  const failures: string[] = [];
  for (const load of [
    async () => (await import('./libsql.ts')).openLibsql(),
    async () => (await import('./node-sqlite.ts')).openNodeSqlite(),
  ]) {
    try {
      return await load();
    } catch (error) {
      failures.push(messageOf(error).split('\n', 1)[0] ?? '');
    }
  }
  const where = `${process.platform}-${process.arch} with Node ${process.versions.node}`;
  throw new OrchError('unsupported', `agents have no memory on ${where}: ${failures.join('; ')}`, {
    advice: 'use Node 22.13 or newer, or a platform that libsql has a build for; tasks run without it',
  });
}

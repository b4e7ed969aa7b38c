// A process that starts one guarded command and prints its id; a test then ends it, in any way.
// Arguments: the options of the command as JSON.
import { startGuarded } from '../../src/process/index.ts';

const { pid, child, ended } = startGuarded(JSON.parse(process.argv[2] ?? '{}'));
child.stdout?.pipe(process.stdout);
process.stdout.write(`${pid}\n`);
await ended;

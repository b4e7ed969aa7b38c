// The worker processes of the benchmark; started by it, never by hand.
import * as orch from 'orch';

const { runChild } = await import(new URL('../out/main.js', import.meta.url).href);
await runChild(process.argv.slice(2), orch);

// The processes that own memories in the benchmark; started by it, never by hand.
import * as orch from 'orch';

const { runOwner } = await import(new URL('../out/main.js', import.meta.url).href);
await runOwner(process.argv.slice(2), orch);

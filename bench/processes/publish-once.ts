// A cold publisher of the bare kind, for the cli scenario: connect, write, close.
import { connect } from '@nats-io/transport-node';
import { publishBare } from '../sides/bare-publisher.ts';
import { Writes } from '../sides/writes.ts';

const writes = new Writes(await connect({ servers: process.argv[2] ?? '', noAsyncTraces: true }));
process.stdout.write(`${await publishBare(writes, 'true')}\n`);
await writes.close();

// A cold publisher of the bare kind, for the cli scenario: connect, write, close.
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { barePublisher } from './sides/bare.ts';

const nc = await connect({ servers: process.argv[2] ?? '', noAsyncTraces: true });
const id = await barePublisher(jetstream(nc))('true');
process.stdout.write(`${id}\n`);
await nc.close();

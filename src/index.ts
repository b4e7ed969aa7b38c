// orch as a library.
//
//     import { connect } from 'orch';
//
//     await using orch = await connect({ servers: ['nats://127.0.0.1:4222'] });
//     await using worker = await orch.runWorker({
//       capabilities: ['greet'],
//       handler: (task, { log, node }) => {
//         log(`attempt ${task.attempt} on ${node}`);
//         return { greeting: `hello ${String(task.input)}` };
//       },
//     });
//     const { state, result } = await orch.publishAndWait(
//       { capabilities: ['greet'], input: 'world' },
//       { signal: AbortSignal.timeout(60_000) },
//     );
//     console.log(worker.state, state, result);
//
// Its schemas, subjects and names without a connection are the second entry, `orch/protocol`.

export type { ProvisionOptions, ServerOptions } from './bus/index.ts';
export type { GatherOptions } from './cluster/index.ts';
export { AttemptStopped, type Logger, type StopReason, TryLater } from './daemon/index.ts';
export * from './library/index.ts';
export { type Embedder, type EmbedderOptions, openAiEmbedder } from './memory/index.ts';
export { ERROR_CODES, type ErrorCode, OrchError } from './protocol/index.ts';

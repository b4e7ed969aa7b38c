// What the services of a node are, what they are given by it, and what they report to it.
export { type Logger, silent } from './logger.ts';
export type { NodeService } from './service.ts';
export { type AgentDesk, type Telemetry, uncounted } from './telemetry.ts';

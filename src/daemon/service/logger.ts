// What a node needs of a logger.

/** A logger in pino's shape: fields first, then the message. */
export interface Logger {
  /** What helps to find a defect. */
  debug(fields: object, message: string): void;
  /** What happens in the ordinary course. */
  info(fields: object, message: string): void;
  /** What went wrong and is retried. */
  warn(fields: object, message: string): void;
  /** What a person must see to. */
  error(fields: object, message: string): void;
}

/** Logs nothing. */
export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

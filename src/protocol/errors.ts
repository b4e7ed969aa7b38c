// The closed list of what can go wrong, and what each thing means to a shell, to HTTP and to a person.
// Expected contention (a task already claimed, a fence that fell) is a value and never comes through here.

/** Every error code of orch with its exit code, its HTTP status and its meaning. */
export const ERROR_CODES = {
  failed: { exit: 1, http: 500, meaning: 'the task failed or was cancelled' },
  usage: { exit: 2, http: 400, meaning: 'invalid argument, field or file' },
  too_large: { exit: 2, http: 413, meaning: 'a payload is too large' },
  unavailable: { exit: 3, http: 503, meaning: 'no NATS server, or no JetStream, answered' },
  unsupported: { exit: 3, http: 503, meaning: 'the server is too old or lacks a feature that orch needs' },
  not_found: { exit: 4, http: 404, meaning: 'no such task, node or agent' },
  conflict: { exit: 5, http: 409, meaning: 'the id exists, is claimed, or its state does not allow it' },
  no_worker: { exit: 6, http: 503, meaning: 'no live worker is eligible' },
  timeout: { exit: 7, http: 504, meaning: 'timed out' },
  budget: { exit: 8, http: 402, meaning: 'a budget is exceeded' },
  denied: { exit: 9, http: 403, meaning: 'the credentials do not allow it' },
  internal: { exit: 70, http: 500, meaning: 'a defect in orch' },
  interrupted: { exit: 130, http: 499, meaning: 'interrupted by Ctrl-C' },
} as const;

/** What can go wrong. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** The one error class of orch: a closed code, one line that says what is wrong, and what to do about it. */
export class OrchError extends Error {
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** What the reader can do next; one line, or absent where there is nothing to advise. */
  readonly advice: string | undefined;

  constructor(code: ErrorCode, message: string, options: { advice?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OrchError';
    this.code = code;
    this.advice = options.advice;
  }

  /** The exit code of a command that ends with it. */
  get exitCode(): number {
    return ERROR_CODES[this.code].exit;
  }

  /** The HTTP status of an answer that carries it. */
  get httpStatus(): number {
    return ERROR_CODES[this.code].http;
  }
}

/** The message of whatever was thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/\s*\n\s*/g, ' ').trim();
}

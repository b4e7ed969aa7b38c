// NATS errors in orch's words. The only file that knows the server's numbers.
import {
  AuthorizationError,
  ClosedConnectionError,
  ConnectionError,
  DrainingConnectionError,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
} from '@nats-io/transport-node';
import { messageOf, OrchError } from '../protocol/index.ts';

/** JetStream API error codes that orch acts on. */
export const API_ERROR = {
  consumerNotFound: 10014,
  insufficientResources: 10023,
  streamNotFound: 10059,
  jetStreamDisabled: 10039,
  jetStreamNotEnabledForAccount: 10076,
  wrongLastSequence: 10071,
  /** A concurrent write of the same subject, on a replicated stream. */
  concurrentWrite: 10164,
  /** With words: `maximum messages per subject exceeded`, or that the stream is full. */
  storeFailed: 10077,
  streamNameInUse: 10058,
  replicasWithoutCluster: 10074,
  consumerExistsWithOtherConfig: 10148,
  noMessageFound: 10037,
  messageTooLarge: 10054,
} as const;

/** The JetStream API error code inside an error, whichever class carries it. */
export function apiErrorCode(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'number' ? code : undefined;
}

/** Turns what nats.js threw into an OrchError; an OrchError stays as it is. */
export function toOrchError(error: unknown, doing: string): OrchError {
  if (error instanceof OrchError) return error;
  const cause = error instanceof RequestError && error.cause ? error.cause : error;
  const fail = (code: ConstructorParameters<typeof OrchError>[0], message: string, advice?: string) =>
    new OrchError(code, `${doing}: ${message}`, {
      cause: error,
      ...(advice === undefined ? {} : { advice }),
    });
  if (cause instanceof PermissionViolationError) {
    return fail(
      'denied',
      `not allowed to ${cause.operation} on ${cause.subject}`,
      'use credentials that allow it',
    );
  }
  if (cause instanceof AuthorizationError)
    return fail('denied', 'the server refused the credentials', 'check --creds, --nkey or --context');
  if (cause instanceof TimeoutError)
    return fail(
      'unavailable',
      'the server did not answer in time',
      'is a cluster electing a leader? try again',
    );
  if (cause instanceof NoRespondersError)
    return fail('unavailable', 'no stream answers; JetStream is off or has no leader', 'run `orch doctor`');
  if (
    cause instanceof ClosedConnectionError ||
    cause instanceof DrainingConnectionError ||
    cause instanceof ConnectionError
  ) {
    return fail('unavailable', messageOf(cause));
  }
  switch (apiErrorCode(cause)) {
    case API_ERROR.jetStreamDisabled:
    case API_ERROR.jetStreamNotEnabledForAccount:
      return fail('unsupported', 'JetStream is not enabled', 'start nats-server with -js, or run `orch up`');
    case API_ERROR.insufficientResources:
      return fail(
        'unavailable',
        'the server’s JetStream storage is full',
        'free disk space or raise max_file_store',
      );
    case API_ERROR.streamNotFound:
    case API_ERROR.consumerNotFound:
      return fail('not_found', messageOf(cause));
    default:
      return fail('unavailable', messageOf(cause));
  }
}

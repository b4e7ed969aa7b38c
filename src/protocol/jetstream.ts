// The subjects of NATS's own JetStream API that orch uses directly, where the client's functions do not serve.

/** `$JS.API.CONSUMER.MSG.NEXT.ORCH_TASKS.medium_any`: asks a consumer for messages */
export const pullSubject = (stream: string, consumer: string): string =>
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;

/** `$JS.API.CONSUMER.INFO.ORCH_TASKS.medium_any` */
export const consumerInfoSubject = (stream: string, consumer: string): string =>
  `$JS.API.CONSUMER.INFO.${stream}.${consumer}`;

/** `$JS.EVENT.ADVISORY.CONSUMER.CREATED.ORCH_TASKS.*`: published when a consumer of a stream appears */
export const consumerCreatedAdvisory = (stream: string): string =>
  `$JS.EVENT.ADVISORY.CONSUMER.CREATED.${stream}.*`;

/** `$JS.API.DIRECT.GET.ORCH_JOURNAL`: reads a message from any replica */
export const directGetSubject = (stream: string): string => `$JS.API.DIRECT.GET.${stream}`;

/** `$JS.API.STREAM.MSG.GET.ORCH_JOURNAL`: reads a message from the stream's leader */
export const leaderGetSubject = (stream: string): string => `$JS.API.STREAM.MSG.GET.${stream}`;

/** `$JS.ACK.`: how every acknowledgement subject begins */
export const ackPrefix = '$JS.ACK.';

/** `$JS.ACK.ORCH_TASKS.medium_any.1.17.42.0.0`: acknowledges a delivery by its two sequences */
export const ackSubject = (stream: string, consumer: string, queueSeq: number, consumerSeq: number): string =>
  `${ackPrefix}${stream}.${consumer}.1.${queueSeq}.${consumerSeq}.0.0`;

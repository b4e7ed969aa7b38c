// Text to vectors, by any server that speaks OpenAI's `/v1/embeddings` (Ollama, llama.cpp, vLLM and others do).
// Promise: no call takes longer than it was given, and whatever the server answers is either vectors of the one right
// size or an error that says what was wrong with it.
import { messageOf, NAME_LENGTH_MAX, OrchError, quoted } from '../protocol/index.ts';

/** What the memory needs of a model. The same text must give the same vector on every node that names the model so. */
export interface Embedder {
  /** Only vectors of one model are compared. */
  readonly model: string;
  /**
   * A vector for each text, all of one size. Throws OrchError `unavailable` where trying again may help, and `usage`
   * for texts that are refused.
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Float32Array[]>;
}

/** Which server, and which of its models. */
export interface EmbedderOptions {
  /** Base address, such as `http://127.0.0.1:11434/v1`. */
  url: string;
  /** Its name there; only vectors of one model are compared. */
  model: string;
  /** Sent as a bearer token; default: none. */
  apiKey?: string;
}

/** Texts of one request: servers compute them one after the other, and queries wait behind them. */
export const EMBED_BATCH_MAX = 32;
/** More than any model in use has. */
const DIMENSIONS_MAX = 8_192;
/** A vector as JSON has some 20 bytes a number. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** An embedder over HTTP. Throws `usage` for an address or a model name that is none. */
export function openAiEmbedder(options: EmbedderOptions): Embedder {
  const { url, model, apiKey } = options;
  const address = addressOf(url);
  if (model === '' || model.length > NAME_LENGTH_MAX)
    throw new OrchError(
      'usage',
      `embedding model ${quoted(model)} must have 1 to ${NAME_LENGTH_MAX} characters`,
    );
  let dimensions: number | undefined;
  return {
    model,
    embed: async (texts, signal) => {
      const vectors: Float32Array[] = [];
      for (let from = 0; from < texts.length; from += EMBED_BATCH_MAX) {
        const batch = texts.slice(from, from + EMBED_BATCH_MAX);
        const answer = await post(address, { model, input: batch, encoding_format: 'float' }, apiKey, signal);
        vectors.push(...vectorsOf(answer, batch.length, address));
      }
      for (const vector of vectors) {
        dimensions ??= vector.length;
        if (vector.length !== dimensions)
          throw new OrchError(
            'unavailable',
            `embedder ${address}: a vector of ${vector.length} numbers, after ones of ${dimensions}`,
          );
      }
      return vectors;
    },
  };
}

function addressOf(url: string): string {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base?.protocol !== 'http:' && base?.protocol !== 'https:')
    throw new OrchError('usage', `embedder ${quoted(url)} is not an http or https address`, {
      advice: 'such as http://127.0.0.1:11434/v1',
    });
  return `${base.href.replace(/\/+$/, '')}/embeddings`;
}

async function post(
  address: string,
  body: object,
  apiKey: string | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    const response = await fetch(address, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify(body),
      signal,
    });
    const text = await boundedText(response);
    if (!response.ok) {
      // 408 and 429 pass by themselves; a key that is wrong is not the text's fault.
      const isRefusal = [400, 413, 422].includes(response.status);
      throw new OrchError(
        isRefusal ? 'usage' : 'unavailable',
        `embedder ${address}: status ${response.status}: ${text.slice(0, 200)}`,
      );
    }
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof OrchError) throw error;
    const why = signal.aborted
      ? 'no answer in time'
      : messageOf((error as { cause?: unknown }).cause ?? error);
    throw new OrchError('unavailable', `embedder ${address}: ${why}`, { cause: error });
  }
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

// {"data":[{"index":0,"embedding":[0.1,...]},...]}, in any order.
function vectorsOf(answer: unknown, count: number, address: string): Float32Array[] {
  const data = (answer as { data?: unknown } | null)?.data;
  const vectors = new Array<Float32Array | undefined>(count).fill(undefined);
  if (Array.isArray(data))
    for (const [place, entry] of (data as unknown[]).entries()) {
      const { index = place, embedding } = (entry ?? {}) as { index?: unknown; embedding?: unknown };
      if (typeof index === 'number' && index < count && isVector(embedding))
        vectors[index] = Float32Array.from(embedding);
    }
  const complete = vectors.filter(vector => vector !== undefined);
  if (complete.length !== count)
    throw new OrchError('unavailable', `embedder ${address}: ${complete.length} vectors for ${count} texts`);
  return complete;
}

const isVector = (value: unknown): value is number[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.length <= DIMENSIONS_MAX &&
  value.every(number => typeof number === 'number' && Number.isFinite(Math.fround(number)));

/** How long several memories may share the vector of one query, and how long its computation may take. */
const SHARED_MS = 10_000;
const SHARED_MAX = 1_000;

/**
 * An embedder that computes the vector of a text once for all who want it at about the same time: a question to many
 * comes to each memory of a node.
 */
export function sharedEmbedder(embedder: Embedder): Embedder {
  const known = new Map<string, Promise<Float32Array[]>>();
  return {
    model: embedder.model,
    embed: (texts, signal) => {
      const [text] = texts;
      if (text === undefined || texts.length > 1) return embedder.embed(texts, signal);
      let vectors = known.get(text);
      if (!vectors) {
        if (known.size >= SHARED_MAX) known.clear();
        // Nobody's patience ends it for the others.
        vectors = embedder.embed(texts, AbortSignal.timeout(SHARED_MS));
        known.set(text, vectors);
        const forget = () => void known.delete(text);
        vectors.then(() => setTimeout(forget, SHARED_MS).unref(), forget);
      }
      return orAbort(vectors, signal);
    },
  };
}

function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

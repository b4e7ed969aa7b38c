// The embedder over HTTP, and what a memory does with one that is slow, wrong or gone. Real servers on loopback.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type Embedder, openAiEmbedder } from '../../src/memory/index.ts';
import { hashingEmbedder } from '../support/hashing-embedder.ts';
import { until } from '../support/wait.ts';
import { Folder } from './folder.ts';

const as = 'alice';
const model = hashingEmbedder(64);

interface Asked {
  model: string;
  input: string[];
}

/** An OpenAI-compatible server whose answers can be bent. */
class EmbeddingServer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly headers: IncomingMessage['headers'][] = [];
  answer: (asked: Asked, response: ServerResponse) => unknown = answerWell;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<EmbeddingServer> {
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += chunk;
      const asked = JSON.parse(body) as Asked;
      self.asked.push(asked);
      self.headers.push(request.headers);
      if (request.method !== 'POST' || request.url !== '/v1/embeddings') send(response, 404, 'no such page');
      else await self.answer(asked, response);
    });
    const self = new EmbeddingServer(server);
    await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening));
    return self;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  get embedder(): Embedder {
    return openAiEmbedder({ url: this.url, model: 'hash', apiKey: 'sesame' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(closed => this.#server.close(closed));
  }
}

async function answerWell({ input }: Asked, response: ServerResponse): Promise<void> {
  const vectors = await model.embed(input, AbortSignal.timeout(1_000));
  // In another order than asked, as the index allows.
  const data = vectors
    .map((vector, index) => ({ object: 'embedding', index, embedding: [...vector] }))
    .reverse();
  send(response, 200, JSON.stringify({ object: 'list', data }));
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

const WRONG: [string, (asked: Asked, response: ServerResponse) => unknown][] = [
  ['fails', (_, response) => send(response, 500, 'out of memory')],
  ['answers garbage', (_, response) => send(response, 200, '<html>welcome</html>')],
  ['answers JSON that is something else', (_, response) => send(response, 200, '{"data":{"embedding":"x"}}')],
  ['answers nothing', (_, response) => send(response, 200, 'null')],
  ['answers too few vectors', (_, response) => send(response, 200, '{"data":[]}')],
  [
    'answers words for numbers',
    (_, response) => send(response, 200, '{"data":[{"index":0,"embedding":["a"]}]}'),
  ],
  [
    'answers numbers that are none',
    (_, response) => send(response, 200, '{"data":[{"index":0,"embedding":[1e999,1]}]}'),
  ],
  [
    'answers vectors of another size',
    (_, response) => send(response, 200, '{"data":[{"index":0,"embedding":[1,2,3]}]}'),
  ],
  ['hangs up', (_, response) => response.destroy()],
  ['does not answer', () => {}],
];

describe('an embedder over HTTP', () => {
  test('asks in batches, with its model and key, and puts the vectors in order', async () => {
    await using server = await EmbeddingServer.start();
    const texts = Array.from({ length: 70 }, (_, i) => `text number ${i}`);
    const vectors = await server.embedder.embed(texts, AbortSignal.timeout(10_000));
    expect(vectors).toEqual(await model.embed(texts, AbortSignal.timeout(10_000)));
    expect(server.asked.map(({ input }) => input.length)).toEqual([32, 32, 6]);
    expect(server.asked[0]?.model).toBe('hash');
    expect(server.headers[0]?.authorization).toBe('Bearer sesame');
  });

  test.each(WRONG.filter(([what]) => !what.includes('another size')))(
    'that %s is unavailable, in one line',
    async (_, answer) => {
      await using server = await EmbeddingServer.start();
      server.answer = answer;
      const failed = server.embedder.embed(['x'], AbortSignal.timeout(200));
      await expect(failed).rejects.toMatchObject({ code: 'unavailable' });
      await expect(failed).rejects.toThrow(new RegExp(`^embedder ${server.url}/embeddings: .+$`));
    },
  );

  test.each(['localhost:11434', 'ftp://x/v1', '', 'http://'])('refuses the address %j', url => {
    expect(() => openAiEmbedder({ url, model: 'm' })).toThrow(/is not an http or https address/);
  });
});

describe('a memory with an embedder', () => {
  test('finds by meaning what shares no word, and says hybrid', async () => {
    await using server = await EmbeddingServer.start();
    await using folder = new Folder();
    const memory = await folder.open(as, { embedder: server.embedder });
    await memory.remember({ as, content: 'redeployment of workers' });
    await memory.remember({ as, content: 'lunch at noon' });
    expect(await memory.embedded()).toBe(true);
    const reply = await memory.recall({ as, query: 'deploying' });
    expect([reply.method, reply.items[0]?.content]).toEqual(['hybrid', 'redeployment of workers']);
    expect((await memory.stats({ as })).embedded).toBe(2);
    expect((await memory.search({ as, query: 'deploying' })).items).toEqual([]);
  });

  test('asks once for a query that is asked again', async () => {
    await using server = await EmbeddingServer.start();
    await using folder = new Folder();
    const memory = await folder.open(as, { embedder: server.embedder });
    for (let i = 0; i < 3; i++) await memory.recall({ as, query: 'the same' });
    expect(server.asked).toHaveLength(1);
  });

  test.each(WRONG)(
    'that %s after a while recalls by words, says so, and leaves it alone for the next',
    async (_, answer) => {
      await using server = await EmbeddingServer.start();
      await using folder = new Folder();
      const memory = await folder.open(as, { embedder: server.embedder });
      await memory.remember({ as, content: 'a lease of fifteen seconds' });
      await memory.embedded();
      expect((await memory.recall({ as, query: 'lease' })).method).toBe('hybrid');
      server.answer = answer;
      const before = server.asked.length;
      const reply = await memory.recall({ as, query: 'fifteen' });
      expect([reply.method, reply.items.length]).toEqual(['keyword', 1]);
      expect((await memory.recall({ as, query: 'seconds' })).method).toBe('keyword');
      expect(server.asked.length).toBe(before + 1);
      // Nor does a write wait for it.
      expect((await memory.remember({ as, content: 'another' })).outcome).toBe('created');
    },
  );

  test('gives records their vectors once the embedder is back', async () => {
    await using server = await EmbeddingServer.start();
    await using folder = new Folder();
    server.answer = (_, response) => send(response, 503, 'loading the model');
    const memory = await folder.open(as, { embedder: server.embedder });
    await memory.remember({ as, content: 'redeployment' });
    expect(await memory.embedded()).toBe(false);
    server.answer = answerWell;
    await until('the vector', async () => (await memory.stats({ as })).embedded === 1);
    await until(
      'a hybrid answer',
      async () => (await memory.recall({ as, query: 'deploying' })).method === 'hybrid',
    );
  });

  test('goes on with the other records when one is refused', async () => {
    await using server = await EmbeddingServer.start();
    await using folder = new Folder();
    server.answer = (asked, response) =>
      asked.input.some(text => text.includes('poison'))
        ? send(response, 400, 'too long')
        : answerWell(asked, response);
    const memory = await folder.open(as, { embedder: server.embedder });
    await Promise.all(['one', 'poison', 'three'].map(content => memory.remember({ as, content })));
    expect(await memory.embedded()).toBe(true);
    expect((await memory.stats({ as })).embedded).toBe(2);
    expect((await memory.recall({ as, query: 'poison' })).items).toHaveLength(1);
  });

  test('makes all vectors anew for another model, and keeps them for the same', async () => {
    await using folder = new Folder();
    const open = (dimensions: number) => folder.open(as, { embedder: hashingEmbedder(dimensions) });
    const first = await open(32);
    await first.remember({ as, content: 'redeployment' });
    await first.embedded();
    await first.close();
    const same = await open(32);
    expect((await same.stats({ as })).embedded).toBe(1);
    await same.close();
    const other = await open(64);
    expect(await other.embedded()).toBe(true);
    expect((await other.recall({ as, query: 'deploying' })).items).toHaveLength(1);
    expect(await other.stats({ as })).toMatchObject({ embedded: 1, model: 'hashing-64' });
  });

  test('gives a record that changed the vector of what it says now', async () => {
    await using folder = new Folder();
    const memory = await folder.open(as, { embedder: hashingEmbedder(64) });
    await memory.remember({ as, key: 'k', content: 'redeployment' });
    await memory.remember({ as, key: 'k', content: 'zebras' });
    await memory.embedded();
    const [item] = (await memory.recall({ as, query: 'zebra' })).items;
    expect(item?.content).toBe('zebras');
    expect((await memory.stats({ as })).embedded).toBe(1);
    await memory.forget({ as, key: 'k' });
    expect((await memory.stats({ as })).embedded).toBe(0);
  });
});

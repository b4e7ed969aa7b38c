// growth: how long do recall, search and remember take with 10^3 to 10^6 records? The records are made of words that are
// as frequent as those of a language (Zipf's law); a question is four words of some record, so frequent and rare ones
// meet as they do in speech. Beside the times stands how long the event loop was kept from its work meanwhile.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { type Memory, openMemory } from '../../src/memory/index.ts';
import { hashingEmbedder } from '../../test/support/hashing-embedder.ts';
import { Trend } from '../harness/report.ts';
import type { MemoryBenchSettings } from '../settings.ts';
import { contentOf, questionAbout, recordLine } from './records.ts';
import { metricOf, type Report, type Section } from './report.ts';
import { Words } from './words.ts';

/** As many numbers as small embedding models give. */
const DIMENSIONS = 384;
/** A disk, where there is one beside the bundle: a folder in memory has nothing to sync. */
const OUT = dirname(fileURLToPath(import.meta.url));

export async function growth({ sizes, queries }: MemoryBenchSettings, report: Report): Promise<void> {
  const dir = await mkdtemp(join(OUT.endsWith('out') ? OUT : tmpdir(), 'memory-'));
  const section = report.section('Growth: one agent, time of an answer by number of records');
  try {
    const memory = await openMemory({ dir, agent: 'bench', embedder: hashingEmbedder(DIMENSIONS) });
    const words = new Words(1);
    const contents: string[] = [];
    for (const size of sizes) {
      await fill(memory, words, contents, size);
      await measure(memory, words, contents, queries, section);
      const { records, embedded, fileBytes = 0 } = await memory.stats({ as: 'bench' });
      report.checks.push({
        name: `growth, ${size} records: all are there, with their vectors`,
        ok: records === contents.length && embedded === records,
        detail: `${records} records, ${embedded} vectors, ${Math.round(fileBytes / 1e6)} MB`,
      });
    }
    await memory.close();
    await reopen(dir, section);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function fill(memory: Memory, words: Words, contents: string[], size: number): Promise<void> {
  const startedAt = performance.now();
  function* lines() {
    while (contents.length < size) {
      const content = contentOf(words);
      yield recordLine(contents.length, content);
      contents.push(content);
    }
  }
  await memory.import(lines());
  await memory.embedded();
  const seconds = (performance.now() - startedAt) / 1_000;
  process.stdout.write(`  ${contents.length} records after ${seconds.toFixed(1)} s\n`);
}

async function measure(
  memory: Memory,
  words: Words,
  contents: string[],
  queries: number,
  section: Section,
): Promise<void> {
  const size = contents.length;
  const trend = (what: string) => metricOf(section, `${what}{records:${size}}`, () => new Trend());
  const question = () => questionAbout(words, contents);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for (let i = 0; i < queries; i++) {
    const hybrid = await memory.recall({ as: 'bench', query: question() });
    trend('recall_hybrid').add(hybrid.timings.totalMs);
    trend('recall_keyword_part').add(hybrid.timings.keywordMs + hybrid.timings.readMs);
    trend('recall_vector_part').add(hybrid.timings.vectorMs);
    trend('search').add((await memory.search({ as: 'bench', query: question() })).timings.totalMs);
    trend('recall_frequent_words').add(
      (await memory.recall({ as: 'bench', query: words.frequent(3) })).timings.keywordMs,
    );
  }
  delay.disable();
  trend('event_loop_delay').add(delay.percentile(99) / 1e6);
  for (let i = 0; i < queries; i++) {
    const content = words.text(40);
    const startedAt = performance.now();
    await memory.remember({ as: 'bench', content });
    trend('remember').add(performance.now() - startedAt);
    contents.push(content);
  }
  await memory.embedded();
}

// A store is checked from beginning to end when it is opened.
async function reopen(dir: string, section: Section): Promise<void> {
  const startedAt = performance.now();
  const memory = await openMemory({ dir, agent: 'bench' });
  metricOf(section, 'open', () => new Trend()).add(performance.now() - startedAt);
  await memory.close();
}

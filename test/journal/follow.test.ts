// What a stream holds and then what arrives: complete, in order, each once.
import { expect, onTestFinished, test } from 'vitest';
import type { Bus, Stored } from '../../src/bus/index.ts';
import { JOURNAL } from '../../src/protocol/index.ts';
import { startNats } from '../support/nats.ts';
import { allNotes, newNote, noteSubject, notes } from '../support/notes.ts';
import { until } from '../support/wait.ts';

/** More than one batch of a reading. */
const STORED = 2_500;

async function store(bus: Bus, count: number, prefix = 'stored'): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, n) =>
      notes.append(bus, `${prefix}-${n}`, newNote(`${n}`), { fence: 0 }),
    ),
  );
}

async function sequences(bus: Bus): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of bus.streams.range(JOURNAL, { filter: allNotes })) seqs.push(seq);
  return seqs;
}

interface Following {
  seqs: number[];
  /** How many entries had been taken when the stored part was read. */
  takenAtCatchUp: number | undefined;
  errors: unknown[];
  end(): Promise<void>;
}

function startFollowing(bus: Bus, since?: Date): Following {
  const over = new AbortController();
  const following: Following = {
    seqs: [],
    takenAtCatchUp: undefined,
    errors: [],
    end: async () => {
      over.abort();
      await running;
    },
  };
  const running = (async () => {
    for await (const { seq } of notes.follow(bus, {
      filter: allNotes,
      signal: over.signal,
      ...(since && { since }),
      onCaughtUp: () => {
        following.takenAtCatchUp = following.seqs.length;
      },
      onError: error => following.errors.push(error),
    }))
      following.seqs.push(seq);
  })();
  onTestFinished(() => following.end());
  return following;
}

test('entries are followed without a gap or a repetition while others write and the server is killed', async () => {
  const { nats } = await startNats();
  const bus = await nats.bus({ timeoutMs: 60_000 });
  await store(bus, STORED);
  let isWriting = true;
  let count = 0;
  const writing = (async () => {
    for (let fence = 0; isWriting; count++) {
      const appended = await notes.append(bus, 'growing', newNote(`${count}`), { fence });
      if (appended.kind === 'conflict') throw new Error('another wrote to it');
      fence = appended.seq;
    }
  })();
  await until('some entries', () => count > 20);
  const following = startFollowing(await nats.bus());
  await until('the stored part to be read', () => following.takenAtCatchUp !== undefined);
  expect(following.takenAtCatchUp).toBeGreaterThanOrEqual(STORED + 20);
  const before = count;
  await until('more entries', () => count > before + 50);
  await nats.kill();
  await nats.restart();
  const after = count;
  await until('entries after the restart', () => count > after + 50);
  isWriting = false;
  await writing;
  const all = await sequences(bus);
  await until('the follower to have all', () => following.seqs.length >= all.length);
  expect(following.seqs).toEqual(all);
  expect(all).toHaveLength(STORED + count);
});

test('a server that is away when the reading begins is waited for, and all is read once it is back', async () => {
  const { nats, bus: patient } = await startNats();
  await store(patient, 50);
  const bus = await nats.bus({ timeoutMs: 500 });
  await nats.kill();
  const following = startFollowing(bus);
  await until('a failure', () => following.errors.length > 0);
  expect(following.takenAtCatchUp).toBeUndefined();
  await nats.restart();
  await until('the stored part to be read', () => following.takenAtCatchUp !== undefined);
  expect(following.seqs).toEqual(await sequences(bus));
  expect(following.takenAtCatchUp).toBe(50);
});

test('an empty journal is read at once, and its first entry arrives', async () => {
  const { bus } = await startNats();
  const following = startFollowing(bus);
  await until('the stored part to be read', () => following.takenAtCatchUp === 0);
  await store(bus, 1);
  await until('the entry', () => following.seqs.length === 1);
  expect(following.seqs).toEqual(await sequences(bus));
});

test('entries before a time are left out, also where there are only such', async () => {
  const { bus } = await startNats();
  await store(bus, 5);
  const last = await bus.streams.last(JOURNAL, allNotes, 'leader');
  const since = new Date((last?.time.getTime() ?? 0) + 1);
  const late = startFollowing(bus, since);
  await until('the stored part to be read', () => late.takenAtCatchUp === 0);
  await until('the time to have come', () => Date.now() > since.getTime());
  await store(bus, 5, 'later');
  const all = startFollowing(bus, since);
  await until('both to have them', () => late.seqs.length === 5 && all.takenAtCatchUp === 5);
  expect(late.seqs).toEqual((await sequences(bus)).slice(5));
  expect(all.seqs).toEqual(late.seqs);
});

test('a follower that is stopped while it reads ends without catching up', async () => {
  const { bus } = await startNats();
  await store(bus, STORED);
  const following = startFollowing(bus);
  await until('the first entries', () => following.seqs.length > 0);
  await following.end();
  expect(following.takenAtCatchUp).toBeUndefined();
});

test('a replica that is behind is asked again until it has what the leader had', async () => {
  const { nats, bus } = await startNats();
  for (let n = 0, fence = 0; n < 10; n++) {
    const appended = await notes.append(bus, 'replicated', newNote(`${n}`), { fence });
    fence = appended.kind === 'written' ? appended.seq : 0;
  }
  const behind = await nats.bus();
  const range = behind.streams.range.bind(behind.streams);
  let reads = 0;
  // Each reading shows three entries more than the one before.
  behind.streams.range = async function* (stream, options): AsyncGenerator<Stored> {
    let left = 3;
    reads++;
    for await (const stored of range(stream, options)) {
      if (left-- === 0) return;
      yield stored;
    }
  };
  const history = await notes.history(behind, 'replicated');
  expect(history.map(({ text }) => text)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  expect(reads).toBe(4);
});

test('entries on one subject can be followed alone', async () => {
  const { bus } = await startNats();
  await store(bus, 3);
  const over = new AbortController();
  const taken: string[] = [];
  const filter = noteSubject('stored-1', 'noted', '*');
  for await (const { text } of notes.follow(bus, {
    filter,
    signal: over.signal,
    onCaughtUp: () => over.abort(),
  }))
    taken.push(text);
  expect(taken).toEqual(['1']);
});

// A key that one holder keeps: taken, renewed, lost to the clock, taken over, given back.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bus } from '../../src/bus/index.ts';
import { HeldKey } from '../../src/leases/index.ts';
import { LEASE_MARGIN_MS, LEASES } from '../../src/protocol/index.ts';
import { Link } from '../support/link.ts';
import { TestNats } from '../support/nats.ts';
import { until } from '../support/wait.ts';

const TTL_MS = 2_000;
const MARGIN_MS = TTL_MS / 4;

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await TestNats.start();
  bus = await nats.bus();
});
afterAll(() => nats[Symbol.asyncDispose]());

let names = 0;
const newName = () => `key-${++names}`;
const text = (value: string) => Buffer.from(value);
const keyOn = (on: Bus, name: string, ttlMs = TTL_MS) => new HeldKey(on.buckets.open(LEASES), name, ttlMs);

async function taken(name: string, value: string, { on = bus, ttlMs = TTL_MS } = {}): Promise<HeldKey> {
  const key = keyOn(on, name, ttlMs);
  if (!(await key.take(await key.read(), text(value)))) throw new Error(`${name} is taken`);
  return key;
}

const valueOfKey = async (name: string) => {
  const { value } = await bus.buckets.open(LEASES).get(name);
  return value && Buffer.from(value).toString();
};

/** Stops this process's thread: nothing in it runs meanwhile, as in a process that was stopped. */
const freeze = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

describe('a held key', () => {
  test('is not held before it is taken', async () => {
    const key = keyOn(bus, newName());
    expect(key.remainingMs).toBeLessThanOrEqual(0);
    expect(key.revision).toBe(0);
  });

  test('goes to one of twenty that try at the same moment', async () => {
    const name = newName();
    const buses = await Promise.all(Array.from({ length: 4 }, () => nats.bus()));
    const keys = Array.from({ length: 20 }, (_, n) => keyOn(buses[n % 4] ?? bus, name));
    const won = await Promise.all(
      keys.map(async (key, n) => key.take(await key.read(), text(`holder ${n}`))),
    );
    // One that read late saw the winner's value; it may take that over, which is for its caller to decide.
    const revisions = keys.flatMap((key, n) => (won[n] ? [key.revision] : []));
    expect(new Set(revisions).size).toBe(revisions.length);
    const { revision } = await bus.buckets.open(LEASES).get(name);
    expect(revision).toBe(Math.max(...revisions));
    const renewed = await Promise.all(keys.map(key => key.renew(text('renewed'))));
    expect(renewed.filter(Boolean)).toHaveLength(1);
  });

  test('lives as long as it is renewed, and its holder stops a margin before it expires', async () => {
    const name = newName();
    const key = await taken(name, 'a');
    const takenAt = performance.now();
    expect(key.remainingMs).toBeGreaterThan(TTL_MS - MARGIN_MS - 1_000);
    expect(key.remainingMs).toBeLessThanOrEqual(TTL_MS - MARGIN_MS);
    while (performance.now() < takenAt + 1.5 * TTL_MS) {
      expect(await key.renew(text('a'))).toBe(true);
      await sleep(TTL_MS / 4);
    }
    expect(await valueOfKey(name)).toBe('a');
    await until('the key to expire', async () => (await valueOfKey(name)) === undefined);
    expect(key.remainingMs).toBeLessThanOrEqual(0);
  });

  test('has a margin of two seconds where it lives long', async () => {
    const key = await taken(newName(), 'a', { ttlMs: 60_000 });
    expect(key.remainingMs).toBeLessThanOrEqual(60_000 - LEASE_MARGIN_MS);
    expect(key.remainingMs).toBeGreaterThan(60_000 - 2 * LEASE_MARGIN_MS);
  });

  test('is lost to a process that was stopped, which knows it at once when it wakes', async () => {
    const name = newName();
    const key = await taken(name, 'stopped');
    freeze(TTL_MS + 100);
    // No answer of the server has been read yet.
    expect(key.remainingMs).toBeLessThanOrEqual(0);
    const next = await until('the next holder', async () => {
      const other = keyOn(bus, name);
      const found = await other.read();
      return found.value === undefined && (await other.take(found, text('next'))) && other;
    });
    expect(next.revision).toBeGreaterThan(key.revision);
    expect(await key.renew(text('stopped'))).toBe(false);
    expect(await key.giveBack()).toBe(false);
    expect(await valueOfKey(name)).toBe('next');
  });

  test('is given up by a holder that is cut off before another can take it', async () => {
    await using link = await Link.to(nats.url);
    const name = newName();
    const on = await nats.bus({ servers: [link.url] });
    const key = await taken(name, 'cut off', { on });
    link.cut();
    const renewing = key.renew(text('cut off'), 1_000).catch((error: unknown) => error);
    const other = keyOn(bus, name);
    await until('the key to expire', async () => (await other.read()).value === undefined);
    expect(key.remainingMs).toBeLessThanOrEqual(0);
    expect(await other.take(await other.read(), text('other'))).toBe(true);
    // The renewal that was under way arrives too late and is refused.
    link.heal();
    expect(await renewing).toMatchObject({ code: 'unavailable' });
    expect(await key.renew(text('cut off'))).toBe(false);
    expect(await valueOfKey(name)).toBe('other');
    await on.close();
  });

  test('that is taken over is no longer renewed or deleted by the one that had it', async () => {
    const name = newName();
    const first = await taken(name, 'first');
    const second = await taken(name, 'second');
    expect(await first.renew(text('first'))).toBe(false);
    expect(await first.giveBack()).toBe(false);
    expect(await second.renew(text('second again'))).toBe(true);
    expect(await valueOfKey(name)).toBe('second again');
  });

  test('whose renewal lost its acknowledgement is renewed on from what is read, within the old time', async () => {
    await using link = await Link.to(nats.url);
    const name = newName();
    const on = await nats.bus({ servers: [link.url] });
    const key = await taken(name, 'one', { on, ttlMs: 30_000 });
    link.cut('client');
    const renewing = key.renew(text('two'), 300);
    await expect(renewing).rejects.toMatchObject({ code: 'unavailable' });
    await until('the renewal to be stored', async () => (await valueOfKey(name)) === 'two');
    link.reset();
    expect(await key.renew(text('three'))).toBe(false);
    const before = key.remainingMs;
    key.adopt(await key.read());
    expect(key.remainingMs).toBeLessThanOrEqual(before);
    expect(await key.renew(text('three'))).toBe(true);
    expect(key.remainingMs).toBeGreaterThan(before);
    expect(await valueOfKey(name)).toBe('three');
    await on.close();
  });

  test('is free at once when it is given back', async () => {
    const name = newName();
    const key = await taken(name, 'a', { ttlMs: 60_000 });
    expect(await key.giveBack()).toBe(true);
    const next = keyOn(bus, name);
    const found = await next.read();
    expect(found.value).toBeUndefined();
    expect(await next.take(found, text('b'))).toBe(true);
    expect(await key.giveBack()).toBe(false);
  });
});

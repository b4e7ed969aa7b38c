// Packed vectors are those of libsql, bit for bit where it matters: either driver reads the files of the other.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openLibsql } from '../../../src/memory/database/libsql.ts';
import { cosineDistance, vector8 } from '../../../src/memory/database/vector8.ts';

const bytesOf = (numbers: readonly number[]): Buffer => Buffer.from(new Float32Array(numbers).buffer);
// Without the zero that has a sign, which the two round apart.
const number = fc.float({ noNaN: true, min: -100, max: 100 }).map(value => value + 0);
const vectors = fc.integer({ min: 1, max: 40 }).chain(length => {
  const vector = fc.array(number, { minLength: length, maxLength: length });
  return fc.tuple(vector, vector);
});

describe('a packed vector', () => {
  test('has the bytes that libsql gives it, but for those that mean nothing', async () => {
    const file = await (await openLibsql()).open(':memory:');
    await fc.assert(
      fc.asyncProperty(vectors, async ([numbers]) => {
        const [row] = await file.all('SELECT vector8(?) AS packed', [bytesOf(numbers)]);
        const theirs = new Uint8Array(row?.['packed'] as ArrayBuffer);
        // libsql leaves in its padding whatever was in memory.
        theirs.fill(0, numbers.length, Math.ceil(numbers.length / 4) * 4);
        expect(Buffer.from(vector8(bytesOf(numbers)))).toEqual(Buffer.from(theirs));
      }),
      { numRuns: 1_000 },
    );
    await file.close();
  });

  test('is as far from another as libsql measures it', async () => {
    const file = await (await openLibsql()).open(':memory:');
    await fc.assert(
      fc.asyncProperty(vectors, async ([a, b]) => {
        const packed = [vector8(bytesOf(a)), vector8(bytesOf(b))] as const;
        const [row] = await file.all('SELECT vector_distance_cos(?, ?) AS distance', [
          Buffer.from(packed[0]),
          Buffer.from(packed[1]),
        ]);
        const theirs = row?.['distance'] ?? Number.NaN;
        const ours = cosineDistance(...packed);
        // Where the numbers nearly cancel each other out, libsql's 32 bits say nothing.
        const isZero = (numbers: readonly number[]) => numbers.every(number => Math.abs(number) < 1e-3);
        if (isZero(a) || isZero(b)) return;
        expect(ours).toBeCloseTo(Number(theirs), 3);
      }),
      { numRuns: 1_000 },
    );
    await file.close();
  });

  test('of another length or another kind is refused', () => {
    const two = vector8(bytesOf([1, 2]));
    expect(() => cosineDistance(two, vector8(bytesOf([1, 2, 3])))).toThrow('vectors of 2 and 3 numbers');
    expect(() => cosineDistance(two, bytesOf([1, 2, 3, 4]))).toThrow('not a packed vector');
  });
});

// Vectors of one byte a number, and how far two of them are apart: libsql's `vector8` and `vector_distance_cos` for a
// SQLite without them. The bytes are those that libsql writes, so that either driver reads the files of the other.
//
// A number is `alpha * byte + shift`: the least number of the vector is byte 0, the greatest is byte 255.
//
//     <a byte for each number> <zeros up to a multiple of 4> <alpha, f32> <shift, f32> <0> <count of the zeros> <type>

const LEVELS = 255;
/** The last byte: which of libsql's formats it is. */
const TYPE_FLOAT8 = 4;
/** What follows the numbers and their zeros. */
const TRAILER_BYTES = 11;

const aligned = (count: number): number => Math.ceil(count / 4) * 4;

/** Packs 32-bit numbers, given as their bytes, into one byte each. */
export function vector8(floats: Uint8Array): Uint8Array {
  const numbers = new Float32Array(floats.slice().buffer);
  const count = numbers.length;
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const number of numbers) {
    if (number < least) least = number;
    if (number > greatest) greatest = number;
  }
  const alpha = Math.fround(Math.fround(greatest - least) / LEVELS);
  const packed = new Uint8Array(aligned(count) + TRAILER_BYTES);
  // Where all numbers are alike this is 0 / 0, and NaN becomes byte 0.
  for (const [i, number] of numbers.entries())
    packed[i] = Math.min(LEVELS, Math.round(Math.fround(Math.fround(number - least) / alpha)));
  const trailer = new DataView(packed.buffer, aligned(count));
  trailer.setFloat32(0, alpha, true);
  trailer.setFloat32(4, least, true);
  trailer.setUint8(9, aligned(count) - count);
  trailer.setUint8(10, TYPE_FLOAT8);
  return packed;
}

/** One minus the cosine of the angle between two packed vectors; NaN where one of them is zero. */
export function cosineDistance(a: Uint8Array, b: Uint8Array): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  const { count } = left;
  if (count !== right.count) throw new Error(`vectors of ${count} and ${right.count} numbers`);
  let [sumA, sumB, squaresA, squaresB, products] = [0, 0, 0, 0, 0];
  for (let i = 0; i < count; i++) {
    const x = a[i] ?? 0;
    const y = b[i] ?? 0;
    sumA += x;
    sumB += y;
    squaresA += x * x;
    squaresB += y * y;
    products += x * y;
  }
  // (alpha * x + shift) multiplied out, so that the loop is over whole numbers.
  const dot =
    left.alpha * right.alpha * products +
    left.alpha * right.shift * sumA +
    right.alpha * left.shift * sumB +
    left.shift * right.shift * count;
  return 1 - dot / Math.sqrt(squared(left, squaresA, sumA) * squared(right, squaresB, sumB));
}

interface Parts {
  count: number;
  alpha: number;
  shift: number;
}

function partsOf(packed: Uint8Array): Parts {
  const end = packed.length;
  const view = new DataView(packed.buffer, packed.byteOffset, end);
  if (end < TRAILER_BYTES || view.getUint8(end - 1) !== TYPE_FLOAT8) throw new Error('not a packed vector');
  return {
    count: end - TRAILER_BYTES - view.getUint8(end - 2),
    alpha: view.getFloat32(end - 11, true),
    shift: view.getFloat32(end - 7, true),
  };
}

const squared = ({ count, alpha, shift }: Parts, squares: number, sum: number): number =>
  alpha * alpha * squares + 2 * alpha * shift * sum + shift * shift * count;

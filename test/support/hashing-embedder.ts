// An embedder that needs no model: hashes words and their pieces of three letters into a vector, so that texts that
// share pieces of words are near each other. Deterministic, quick, and no match for a real one.
import type { Embedder } from '../../src/memory/index.ts';

/** A deterministic embedder for tests and benchmarks. */
export function hashingEmbedder(dimensions = 256): Embedder {
  return {
    model: `hashing-${dimensions}`,
    embed: async texts => texts.map(text => vectorOf(text, dimensions)),
  };
}

function vectorOf(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  const add = (piece: string, weight: number) => {
    const hash = fnv(piece);
    const place = hash % dimensions;
    vector[place] = (vector[place] ?? 0) + (hash & 0x8000_0000 ? weight : -weight);
  };
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    add(word, 1);
    const padded = `^${word}$`;
    for (let i = 0; i + 3 <= padded.length; i++) add(padded.slice(i, i + 3), 0.5);
  }
  return vector;
}

// FNV-1a, 32 bits, with a last mix: its low bits alone are uneven.
function fnv(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

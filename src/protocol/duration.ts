// Durations as people write them: `500ms`, `15s`, `5m`, `2h`, `1d`. On the wire they are whole milliseconds.
import { OrchError } from './errors.ts';
import { quoted } from './names.ts';

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Reads a duration into milliseconds. `field` names the flag in the error. Throws `usage`. */
export function parseDuration(
  text: string,
  field: string,
  range: { minMs?: number; maxMs?: number } = {},
): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  if (!match) {
    throw new OrchError(
      'usage',
      `${field} ${quoted(text)} is not a duration: use a number and ms, s, m, h or d, such as 90s`,
    );
  }
  const ms = Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]);
  const { minMs = 0, maxMs = Number.MAX_SAFE_INTEGER } = range;
  if (ms < minMs || ms > maxMs) {
    throw new OrchError(
      'usage',
      `${field} ${quoted(text)} is out of range: from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    );
  }
  return ms;
}

/** Shows milliseconds in their largest fitting unit, with at most one decimal: `850ms`, `1.5s`, `3m`, `2d`. */
export function formatDuration(ms: number): string {
  const units = Object.entries(UNIT_MS).reverse();
  const [unit, size] = units.find(([, unitMs]) => ms >= unitMs) ?? ['ms', 1];
  return `${Number((ms / size).toFixed(1))}${unit}`;
}

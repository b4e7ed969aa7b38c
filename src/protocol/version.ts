// Which versions of the wire there are, whether two sides have one in common, and which of two releases is newer.

export interface ProtocolRange {
  min: number;
  max: number;
}

/** The protocols that this orch speaks. A new one begins where an old client would go wrong. */
export const PROTOCOL: ProtocolRange = { min: 1, max: 1 };
/** Where a cluster says which protocol its streams are written in: the metadata of ORCH_TASKS, such as `1-1`. */
export const PROTOCOL_METADATA = 'orch.protocol';
/** The header of each request, such as `1-1`. */
export const PROTOCOL_HEADER = 'Orch-Protocol';

/** Whether two sides have a protocol in common. */
export const areCompatible = (a: ProtocolRange, b: ProtocolRange): boolean =>
  a.min <= b.max && b.min <= a.max;

/** `1-3`, as in headers and metadata. */
export const formatProtocol = ({ min, max }: ProtocolRange): string => `${min}-${max}`;

/** Reads `1-3`; undefined for anything else. */
export function parseProtocol(text: string | undefined): ProtocolRange | undefined {
  const match = /^(\d{1,6})-(\d{1,6})$/.exec(text ?? '');
  return match ? { min: Number(match[1]), max: Number(match[2]) } : undefined;
}

/** Compares `2.14.0` with `2.9.21`; a pre-release counts as its release. Anything unreadable is oldest. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string) => (/(\d+)\.(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? -1) - (right[i] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}

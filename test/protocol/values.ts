// Values for a schema, generated from its own shape: valid ones, and some that are at or over a bound, of another type,
// incomplete, with a field too many or with a property named `__proto__`. A field that is added to a schema is included.
import fc from 'fast-check';
import * as z from 'zod';

type Schema = z.core.$ZodType;

/** Valid values, most of them with all defaults filled in. */
export function validValues(schema: Schema): fc.Arbitrary<unknown> {
  const { type, shape, innerType, element, keyType, valueType } = schema._zod.def as Definition;
  switch (type) {
    case 'object': {
      const fields = Object.entries(shape);
      const isAlwaysThere = ([, field]: [string, Schema]) => field._zod.optin !== 'optional';
      return fc.record(Object.fromEntries(fields.map(([name, field]) => [name, validValues(field)])), {
        requiredKeys: fields.filter(isAlwaysThere).map(([name]) => name),
        noNullPrototype: true,
      });
    }
    case 'optional':
    case 'default':
    case 'prefault':
      return validValues(innerType);
    case 'array':
      return fc.array(validValues(element), { maxLength: 3 });
    case 'record':
      return fc.dictionary(validValues(keyType) as fc.Arbitrary<string>, validValues(valueType), {
        maxKeys: 3,
        noNullPrototype: true,
      });
    default: {
      const valid = samples(schema).filter(sample => z.safeParse(schema, sample).success);
      return fc.constantFrom(...valid);
    }
  }
}

/** Values with some fields, at any depth, that are as they should be or are not. */
export function anyValues(schema: Schema): fc.Arbitrary<unknown> {
  const { type, shape, innerType, element, keyType, valueType } = schema._zod.def as Definition;
  switch (type) {
    case 'object': {
      const edits = Object.entries(shape).map(([name, field]) =>
        fc.record({ name: fc.constant(name), value: fc.option(anyValues(field), { nil: REMOVED, freq: 9 }) }),
      );
      const edit = fc.oneof(
        { weight: 8, arbitrary: fc.oneof(...edits) },
        { weight: 1, arbitrary: fc.record({ name: fc.constantFrom('xLater', '__proto__'), value: STRANGE }) },
      );
      return odd(fc.tuple(validValues(schema), fc.array(edit, { maxLength: 3 })).map(edited));
    }
    case 'optional':
    case 'default':
    case 'prefault':
      return anyValues(innerType);
    case 'array':
      return odd(fc.oneof(fc.array(anyValues(element), { maxLength: 4 }), longLists(schema)));
    case 'record': {
      const keys = fc.constantFrom(...(samples(keyType) as string[]), '__proto__');
      const changes = fc.array(fc.tuple(keys, anyValues(valueType)), { maxLength: 2 });
      const small = fc.tuple(validValues(schema), changes).map(withEntries);
      return odd(fc.oneof(small, fc.integer({ min: 30, max: 34 }).map(manyEntries)));
    }
    default:
      return odd(fc.constantFrom(...samples(schema)));
  }
}

/** The parts of all definitions. */
interface Definition {
  type: string;
  format?: string;
  shape: Record<string, Schema>;
  innerType: Schema;
  element: Schema;
  keyType: Schema;
  valueType: Schema;
  entries: Record<string, unknown>;
  in: Schema;
}

const STRANGE = fc.constantFrom<unknown[]>(
  undefined,
  null,
  true,
  0,
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '',
  'x',
  [],
  {},
  { a: 'b' },
  JSON.parse('{"__proto__":{"x":1}}'),
  Object.create(null),
  new Date(0),
);
const odd = (values: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 9, arbitrary: values }, { weight: 1, arbitrary: STRANGE });

/** A value that takes the field away instead of changing it. */
const REMOVED = Symbol('removed');

function edited([value, edits]: [unknown, { name: string; value: unknown }[]]): unknown {
  const copy = { ...(value as object) };
  for (const { name, value } of edits) {
    if (value === REMOVED) Reflect.deleteProperty(copy, name);
    else setOwn(copy, name, value);
  }
  return copy;
}

// As JSON.parse does: an assignment to `__proto__` would change the prototype.
const setOwn = (target: object, key: string, value: unknown) =>
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });

function withEntries([value, entries]: [unknown, [string, unknown][]]): object {
  const copy = { ...(value as object) };
  for (const [key, value] of entries) setOwn(copy, key, value);
  return copy;
}

const manyEntries = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));

function longLists(schema: Schema): fc.Arbitrary<unknown> {
  const { element } = schema._zod.def as Definition;
  const { max } = boundsOf(schema);
  if (max === undefined || max > 300) return fc.constant([]);
  return validValues(element).chain(item =>
    fc.constantFrom(max, max + 1).map(length => Array.from({ length }, () => item)),
  );
}

/** Values of a schema that has no others inside, at its bounds and beyond. */
function samples(schema: Schema): unknown[] {
  const { type, format, entries, in: input } = schema._zod.def as Definition;
  switch (type) {
    case 'string':
      return format === 'datetime' ? TIMES : texts(schema);
    case 'number': {
      const { min = 0, max = 1_000 } = boundsOf(schema);
      return [min - 1, min, min + 1, min + 0.5, max - 1, max, max + 1, 2 ** 53, -(2 ** 53), 5];
    }
    case 'boolean':
      return [true, false];
    case 'enum':
      return [...Object.values(entries), 'of-tomorrow', 'toString'];
    case 'unknown':
      return [null, 0, 'text', [1, { a: null }], { deep: [1] }, JSON.parse('{"__proto__":1}')];
    case 'pipe':
      return [...fc.sample(anyValues(input), 20), ...fc.sample(validValues(input), 5)];
    default:
      throw new Error(`no samples for a schema of type ${type}`);
  }
}

function texts(schema: Schema): string[] {
  const { min = 0, max = 100 } = boundsOf(schema);
  const lengths = [0, 1, min - 1, min, min + 1, max - 1, max, max + 1].filter(length => length >= 0);
  const checks = (schema._zod.def.checks ?? []).map(check => check._zod.def as { pattern?: RegExp });
  const patterns = checks.flatMap(({ pattern }) => pattern ?? []);
  const matching = patterns.flatMap(pattern => fc.sample(fc.stringMatching(pattern), 3));
  return [
    ...lengths.map(length => 'x'.repeat(length)),
    // Each of these is one character and two units of length.
    ...lengths.map(length => '😀'.repeat(length)),
    ...matching,
    ...matching.map(text => text.toUpperCase()),
    ...matching.map(text => text.slice(1)),
  ];
}

function boundsOf(schema: Schema): { min: number | undefined; max: number | undefined } {
  const bounds = { min: undefined, max: undefined } as ReturnType<typeof boundsOf>;
  for (const check of schema._zod.def.checks ?? []) {
    const { check: name, minimum, maximum, value } = check._zod.def as Bound;
    if (minimum !== undefined || name === 'greater_than') bounds.min = minimum ?? value;
    if (maximum !== undefined || name === 'less_than') bounds.max = maximum ?? value;
  }
  return bounds;
}

interface Bound {
  check: string;
  minimum?: number;
  maximum?: number;
  value?: number;
}

const TIMES = [
  '2026-01-31T12:00:00.000Z',
  '2026-01-31T12:00:00Z',
  '2026-01-31T12:00:00+02:00',
  '2024-02-29T00:00:00Z',
  '2026-02-30T12:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-01-31T12:00:00',
  '2026-01-31',
  'yesterday',
];

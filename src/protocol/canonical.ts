// A fast check for values that a schema would give back as they are: all defaults filled in and every field in bounds.
// It is derived from the schema, so a field that is added to a schema is checked as well. Parsing takes some ten times
// as long, and every task is read several times.
// Promises:
//  1. A value that passes is valid, and parsing it would give an equal value.
//  2. No field passes unchecked: with a kind of schema, an option or a check that is not known here, every value that
//     has the field fails.
// A value that fails may still be valid: parse it. Values are plain data, as decoded from JSON or MessagePack.
import * as z from 'zod';
import { JournalEntry, TaskMessage } from './task.ts';

type Schema = z.core.$ZodType;
type Check = (value: unknown) => boolean;

/** The fast check of a schema. It is derived when it is first used, which takes a millisecond or two. */
export function canonicalCheck<T extends z.core.$ZodType>(
  schema: T,
): (value: unknown) => value is z.output<T> {
  let check: Check | undefined;
  return (value): value is z.output<T> => {
    check ??= derive(schema);
    return check(value);
  };
}

// The result is false for undefined, which parsing may fill in. `canBeAbsent` is for fields that may be left out.
function derive(schema: Schema): Check {
  const kind = KINDS.get(schema.constructor);
  const { type: _, error: __, checks = [], ...options } = schema._zod.def;
  if (!kind || !Object.keys(options).every(option => kind.options.includes(option))) return fails;
  const range = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };
  const others: Check[] = [];
  for (const check of checks) {
    const bound = boundOf(check);
    if (bound === undefined || bound.of !== kind.bounded) others.push(deriveCheck(check));
    else {
      range.min = Math.max(range.min, bound.min ?? range.min);
      range.max = Math.min(range.max, bound.max ?? range.max);
    }
  }
  return others.reduce((before, then) => value => before(value) && then(value), kind.derive(schema, range));
}

// Promise 2.
const fails: Check = () => false;

// -- kinds of schemas

interface Range {
  min: number;
  max: number;
}

interface Kind {
  /** The parts of its definition that are taken into account, besides its checks. */
  options: readonly string[];
  /** What a range of it limits. */
  bounded: 'length' | 'value' | undefined;
  derive(schema: Schema, range: Range): Check;
}

function kind<S extends Schema>(
  of: z.core.$constructor<S>,
  { options = [], bounded }: { options?: string[]; bounded?: 'length' | 'value' },
  derive: (schema: S, range: Range) => Check,
): [unknown, Kind] {
  return [of, { options, bounded, derive: (schema, range) => derive(schema as S, range) }];
}

const DATETIME_OPTIONS = ['check', 'format', 'local', 'offset', 'precision', 'pattern'];
const DEFAULT_OPTIONS = ['innerType', 'defaultValue'];

// By class and not by name, because a class that is derived from a known one may accept something else.
const KINDS: ReadonlyMap<unknown, Kind> = new Map([
  kind(z.ZodString, { bounded: 'length' }, (_, range) => textWithin(range)),
  kind(z.ZodISODateTime, { options: DATETIME_OPTIONS }, ({ _zod: { def } }) => matching(def.pattern)),
  kind(
    z.ZodNumber,
    { bounded: 'value' },
    (_, { min, max }) =>
      value =>
        Number.isFinite(value) && (value as number) >= min && (value as number) <= max,
  ),
  kind(
    z.ZodNumberFormat,
    { options: ['check', 'format', 'abort'], bounded: 'value' },
    ({ _zod: { def } }, { min, max }) =>
      def.format === 'safeint'
        ? value => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
        : fails,
  ),
  kind(z.ZodBoolean, {}, () => value => typeof value === 'boolean'),
  kind(
    z.ZodEnum,
    { options: ['entries'] },
    ({ _zod: { values } }) =>
      value =>
        values.has(value as never),
  ),
  kind(z.ZodUnknown, {}, () => value => value !== undefined),
  kind(z.ZodOptional, { options: ['innerType'] }, ({ _zod: { def } }) => derive(def.innerType)),
  kind(z.ZodDefault, { options: DEFAULT_OPTIONS }, ({ _zod: { def } }) => derive(def.innerType)),
  kind(z.ZodPrefault, { options: DEFAULT_OPTIONS }, ({ _zod: { def } }) => derive(def.innerType)),
  kind(z.ZodArray, { options: ['element'], bounded: 'length' }, ({ _zod: { def } }, { min, max }) => {
    const isItem = derive(def.element);
    return value =>
      Array.isArray(value) && value.length >= min && value.length <= max && areItems(value, isItem);
  }),
  kind(z.ZodRecord, { options: ['keyType', 'valueType'] }, ({ _zod: { def } }) => {
    // Keys from a list of choices would be required ones.
    if (def.keyType.constructor !== z.ZodString) return fails;
    const [isKey, isItem] = [derive(def.keyType), derive(def.valueType)];
    return value => isPlain(value) && areEntries(value, isKey, isItem);
  }),
  kind(z.ZodObject, { options: ['shape', 'catchall'] }, ({ _zod: { def } }) => {
    // Other objects than loose ones drop or refuse what they do not know.
    if (def.catchall?.constructor !== z.ZodUnknown || def.catchall._zod.def.checks) return fails;
    const fields = fieldsOf(def.shape);
    return value => isPlain(value) && areFields(value, fields);
  }),
]);

// Lengths count code points, each of which is one or two of the units that JavaScript counts.
function textWithin({ min, max }: Range): Check {
  if (min <= 0 && max === Number.POSITIVE_INFINITY) return value => typeof value === 'string';
  return value => {
    if (typeof value !== 'string') return false;
    if (value.length <= max && value.length >= 2 * min) return true;
    const length = [...value].length;
    return length <= max && length >= min;
  };
}

// With one of the two flags, a test depends on the test before.
const matching = (pattern: RegExp | undefined): Check =>
  pattern === undefined || pattern.global || pattern.sticky
    ? fails
    : value => typeof value === 'string' && pattern.test(value);

// Not with `every`, which skips the gaps of a sparse array.
function areItems(items: readonly unknown[], isItem: Check): boolean {
  for (const item of items) if (!isItem(item)) return false;
  return true;
}

type Plain = Record<string, unknown>;

const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

// JSON can name a property `__proto__`, which parsing drops.
function areEntries(value: Plain, isKey: Check, isItem: Check): boolean {
  for (const key in value) {
    if (key === '__proto__' || !isKey(key) || !isItem(value[key])) return false;
  }
  return true;
}

// -- the fields of an object

interface Field {
  name: string;
  isCanonical: Check;
  isOptional: boolean;
  /** The index of the field after it. */
  next: number;
}

interface Fields {
  inOrder: readonly Field[];
  byName: ReadonlyMap<string, Field>;
  required: number;
}

function fieldsOf(shape: z.core.$ZodShape): Fields {
  const fields = Object.entries(shape).map(
    ([name, schema], i): Field => ({
      name,
      isCanonical: derive(schema),
      isOptional: canBeAbsent(schema),
      next: i + 1,
    }),
  );
  return {
    inOrder: fields,
    byName: new Map(fields.map(field => [field.name, field])),
    required: fields.filter(field => !field.isOptional).length,
  };
}

// Whether parsing leaves the field out when it is absent, and neither fills it in nor fails.
function canBeAbsent(schema: Schema): boolean {
  const { innerType, checks } = schema._zod.def as z.core.$ZodOptionalDef;
  return schema.constructor === z.ZodOptional && !checks && innerType._zod.optin !== 'defaulted';
}

// Goes through the properties that are there. They mostly come in the order of the schema, and then the field of the
// next one is known without a look-up.
function areFields(value: Plain, { inOrder, byName, required }: Fields): boolean {
  let next = 0;
  let missing = required;
  for (const name in value) {
    let field = inOrder[next];
    if (field?.name !== name) field = byName.get(name);
    if (field === undefined) {
      if (name === '__proto__') return false;
      continue;
    }
    next = field.next;
    const property = value[name];
    if (property === undefined && field.isOptional) continue;
    if (!field.isCanonical(property)) return false;
    if (!field.isOptional) missing--;
  }
  return missing === 0;
}

// -- checks of schemas

interface Bound {
  of: Kind['bounded'];
  min?: number;
  max?: number;
}

// Checks are known by their class, which TypeScript does not narrow by.
type CheckDef = z.core.$ZodCheckDef &
  Pick<z.core.$ZodCheckMinLengthDef, 'minimum'> &
  Pick<z.core.$ZodCheckMaxLengthDef, 'maximum'> &
  Pick<z.core.$ZodCheckLessThanDef, 'value' | 'inclusive'> &
  Pick<z.core.$ZodCheckRegexDef, 'pattern'> &
  Pick<z.core.$ZodCustomDef, 'fn'>;

function boundOf(check: z.core.$ZodCheck): Bound | undefined {
  const { minimum, maximum, value, inclusive } = check._zod.def as CheckDef;
  switch (check.constructor) {
    case z.core.$ZodCheckMinLength:
      return { of: 'length', min: minimum };
    case z.core.$ZodCheckMaxLength:
      return { of: 'length', max: maximum };
    case z.core.$ZodCheckGreaterThan:
      return inclusive && typeof value === 'number' ? { of: 'value', min: value } : undefined;
    case z.core.$ZodCheckLessThan:
      return inclusive && typeof value === 'number' ? { of: 'value', max: value } : undefined;
    default:
      return undefined;
  }
}

// Every other check. It runs after that of the kind, so it sees only values of the right type.
function deriveCheck(check: z.core.$ZodCheck): Check {
  const { pattern, fn } = check._zod.def as CheckDef;
  switch (check.constructor) {
    case z.core.$ZodCheckRegex:
      return matching(pattern);
    case z.ZodCustom:
      // An asynchronous one gives a promise.
      return value => fn(value) === true;
    default:
      return fails;
  }
}

/** Whether a value is a task message that parsing would not change. */
export const isCanonicalMessage = canonicalCheck(TaskMessage);

/** Whether a value is a journal entry that parsing would not change. */
export const isCanonicalEntry = canonicalCheck(JournalEntry);

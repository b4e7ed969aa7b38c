// Renders a zod object as a table of its fields: name, type with bounds, unit, default, and its `.describe()` text.
import { z } from 'zod';
import { code, table } from './document.ts';

/** Schemas with a table of their own: a field of such a type refers to it. */
export type NamedSchemas = Readonly<Record<string, z.ZodObject>>;

export function fieldTable(schema: z.ZodObject, named: NamedSchemas): string {
  const rows = Object.entries(schema.shape).map(([name, field]) => fieldRow(name, field as z.ZodType, named));
  return `${schema.description ?? ''}\n\n${table(['field', 'type', 'unit', 'default', 'meaning'], rows)}`;
}

function fieldRow(name: string, field: z.ZodType, named: NamedSchemas): string[] {
  const { inner, fallback } = unwrap(field, named);
  const type = typeOf(inner, named);
  return [code(name), type, unitOf(name, type), fallback, field.description ?? ''];
}

// A described field is a wrapper (optional, default) around what it holds.
function unwrap(field: z.ZodType, named: NamedSchemas): { inner: z.ZodType; fallback: string } {
  if (field instanceof z.ZodOptional) return { inner: field.unwrap() as z.ZodType, fallback: 'absent' };
  if (field instanceof z.ZodDefault)
    return { inner: field.unwrap() as z.ZodType, fallback: code(JSON.stringify(field.def.defaultValue)) };
  if (field instanceof z.ZodPrefault) {
    const inner = field.unwrap() as z.ZodType;
    return { inner, fallback: nameOf(inner, named) ? 'its defaults' : code(JSON.stringify(field.parse({}))) };
  }
  return { inner: field, fallback: 'required' };
}

// `.describe()` copies a schema and keeps its definition.
function nameOf(schema: z.ZodType, named: NamedSchemas): string | undefined {
  return Object.keys(named).find(name => named[name]?.def === schema.def);
}

function typeOf(schema: z.ZodType, named: NamedSchemas): string {
  const name = nameOf(schema, named);
  if (name !== undefined) return `[${name}](#${anchor(name)})`;
  if (schema instanceof z.ZodArray) return `array of ${typeOf(schema.element as z.ZodType, named)}`;
  return jsonType(z.toJSONSchema(schema, { io: 'input' }));
}

/** How a heading is addressed within the page. */
export const anchor = (heading: string): string => heading.toLowerCase().replaceAll(' ', '-');

type JsonSchema = z.core.JSONSchema.BaseSchema;

function jsonType(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.map(value => code(String(value))).join(', ');
  switch (schema.type) {
    case 'string':
      if (schema.format === 'date-time') return 'time';
      if (schema.maxLength !== undefined) return `string, at most ${schema.maxLength} characters`;
      return schema.pattern === undefined ? 'string' : `string, ${code(schema.pattern)}`;
    case 'integer':
    case 'number':
      return `${schema.type}${range(schema)}`;
    case 'boolean':
      return 'boolean';
    case 'array':
      return `array of ${jsonType(schema.items as JsonSchema)}`;
    case 'object':
      // Named fields are told in the description.
      if (!schema.propertyNames) return 'object';
      return `object; key: ${jsonType(schema.propertyNames as JsonSchema)}; value: ${jsonType(schema.additionalProperties as JsonSchema)}`;
    default:
      return 'any';
  }
}

// What every integer is bound to, since it must survive a double, is not worth saying.
function range({ minimum = -Infinity, maximum = Infinity }: JsonSchema): string {
  const hasMin = minimum > Number.MIN_SAFE_INTEGER;
  const hasMax = maximum < Number.MAX_SAFE_INTEGER;
  if (hasMin && hasMax) return `, ${minimum} to ${maximum}`;
  if (hasMin) return `, at least ${minimum}`;
  return hasMax ? `, at most ${maximum}` : '';
}

function unitOf(name: string, type: string): string {
  if (type === 'time') return 'ISO 8601';
  if (name.endsWith('Ms')) return 'ms';
  return /bytes/i.test(name) ? 'bytes' : '';
}

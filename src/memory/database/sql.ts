// Statements as templates: what stands in `${}` is bound as a value, or is itself such a statement and is set in. There
// is no third way, so nothing that came from outside can become syntax.

export type Value = string | number | null | Buffer;

export interface Sql {
  readonly text: string;
  readonly values: readonly Value[];
}

/** Makes a statement, or a part of one. */
export function sql(strings: TemplateStringsArray, ...parts: readonly (Value | Sql)[]): Sql {
  let text = strings[0] ?? '';
  const values: Value[] = [];
  for (const [i, part] of parts.entries()) {
    if (isSql(part)) {
      text += part.text;
      values.push(...part.values);
    } else {
      text += '?';
      values.push(part);
    }
    text += strings[i + 1];
  }
  return { text, values };
}

export const NOTHING = sql``;

/** Conditions that must all hold; true when there are none. */
export function every(conditions: readonly Sql[]): Sql {
  return conditions.reduce((all, condition) => sql`${all} AND ${condition}`, sql`true`);
}

const isSql = (part: Value | Sql): part is Sql =>
  typeof part === 'object' && part !== null && !Buffer.isBuffer(part);

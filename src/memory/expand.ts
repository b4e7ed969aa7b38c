// From a record or an entity to what it is linked to, one step far. Two records are linked that name the same entity, or
// of which one names the other's id. What the asker may not read is no link: a record that is hidden and one that is not
// there give the same answer.
import {
  type ExpandReply,
  type ExpandRequest,
  type MemoryItem,
  type MemoryRecord,
  OrchError,
} from '../protocol/index.ts';
import { beginning } from './answer.ts';
import { type Connection, numberOf, sql } from './database/index.ts';
import { RECORD_COLUMNS, recordOf } from './records.ts';
import type { Scope } from './visibility.ts';

/** Linked records that are looked at: more than the largest budget can show. */
const LINKED_MAX = 500;
const ENTITIES_MAX = 50;
const CHARACTERS_PER_TOKEN = 4;

interface Reached {
  start: MemoryRecord | undefined;
  linked: { record: MemoryRecord; shared: number }[];
  total: number;
}

/** Throws `not_found` for a record or entity that is not there, or not for the asker. */
export async function expand(
  connection: Connection,
  { id, entity = '', maxTokens }: ExpandRequest,
  floor: Scope,
  itemOf: (record: MemoryRecord, score: number) => MemoryItem,
): Promise<Pick<ExpandReply, 'entities' | 'items' | 'tokens' | 'omitted'>> {
  const { start, linked, total } =
    id === undefined ? await fromEntity(connection, entity, floor) : await fromRecord(connection, id, floor);
  const items: MemoryItem[] = [];
  let left = maxTokens;
  const add = (item: MemoryItem) => {
    items.push(item);
    left -= tokensOf(item.content);
  };
  // What was asked for is shown, be it in part.
  if (start) add(withinBudget(itemOf(start, 1), left));
  for (const { record, shared } of linked) {
    if (tokensOf(record.content) > left) break;
    add(itemOf(record, shared));
  }
  return {
    entities: entitiesOf(
      start ? [start, ...linked.map(({ record }) => record)] : linked.map(({ record }) => record),
    ),
    items,
    tokens: maxTokens - left,
    omitted: total - (items.length - (start ? 1 : 0)),
  };
}

async function fromEntity(connection: Connection, entity: string, floor: Scope): Promise<Reached> {
  const reached = await linkedTo(connection, [entity], [], '', floor);
  if (reached.total === 0)
    throw new OrchError('not_found', `no entity ${JSON.stringify(entity)} in this memory`);
  return { start: undefined, ...reached };
}

async function fromRecord(connection: Connection, id: string, floor: Scope): Promise<Reached> {
  const [row] = await connection.all(
    sql`SELECT ${RECORD_COLUMNS} FROM records r WHERE r.id = ${id} AND r.scope >= ${floor}`,
  );
  if (!row) throw new OrchError('not_found', `no record ${JSON.stringify(id)} in this memory`);
  const start = recordOf(row);
  return { start, ...(await linkedTo(connection, [...start.links, id], start.links, id, floor)) };
}

// Records that name one of the entities, or that are named; those that share most first.
async function linkedTo(
  connection: Connection,
  entities: readonly string[],
  named: readonly string[],
  exceptId: string,
  floor: Scope,
): Promise<Omit<Reached, 'start'>> {
  const rows = await connection.all(sql`
    WITH reached AS (
      SELECT l.record FROM json_each(${JSON.stringify(entities)}) e
      CROSS JOIN links l ON l.entity = e.value AND l.scope >= ${floor}
      UNION ALL
      SELECT n.record FROM json_each(${JSON.stringify(named)}) e
      CROSS JOIN records n ON n.id = e.value AND n.scope >= ${floor}),
    linked AS (SELECT record, count(*) AS shared FROM reached GROUP BY record)
    SELECT ${RECORD_COLUMNS}, l.shared, count(*) OVER () AS total
    FROM linked l CROSS JOIN records r ON r.record = l.record
    WHERE r.id <> ${exceptId}
    ORDER BY l.shared DESC, r.pinned DESC, r.importance DESC, r.created_at DESC, r.id LIMIT ${LINKED_MAX}`);
  return {
    linked: rows.map(row => ({ record: recordOf(row), shared: numberOf(row, 'shared') })),
    total: numberOf(rows[0], 'total'),
  };
}

function entitiesOf(records: readonly MemoryRecord[]): ExpandReply['entities'] {
  const counts = new Map<string, number>();
  for (const { links } of records) for (const name of links) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .map(([name, count]) => ({ name, records: count }))
    .sort((a, b) => b.records - a.records || (a.name < b.name ? -1 : 1))
    .slice(0, ENTITIES_MAX);
}

function withinBudget(item: MemoryItem, tokens: number): MemoryItem {
  if (tokensOf(item.content) <= tokens) return item;
  return { ...item, content: beginning(item.content, tokens * CHARACTERS_PER_TOKEN), truncated: true };
}

const tokensOf = (content: string): number => Math.ceil(content.length / CHARACTERS_PER_TOKEN);

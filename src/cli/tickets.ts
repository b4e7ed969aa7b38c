// Tickets of claims by hand, kept between one command and the next: a file each, readable by this user only.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { paths } from '../config/index.ts';
import { OrchError, parseAs } from '../protocol/index.ts';
import type { Ticket } from '../tasks/index.ts';

const TicketFile = z.object({
  id: z.string(),
  attempt: z.int(),
  actor: z.string(),
  fence: z.int(),
  leaseMs: z.int(),
  subject: z.string(),
  ackSubject: z.string(),
});

const folder = (): string => join(paths().data, 'claims');
const fileOf = (id: string): string => join(folder(), `${id}.json`);

/** Keeps a ticket for the next command. */
export async function saveTicket(ticket: Ticket): Promise<void> {
  await mkdir(folder(), { recursive: true, mode: 0o700 });
  await writeFile(fileOf(ticket.id), JSON.stringify(ticket), { mode: 0o600 });
}

/** The ticket of a claim by this user on this machine, or one that is given as text. Throws `not_found` or `usage`. */
export async function loadTicket(id: string, text: string | undefined): Promise<Ticket> {
  const source = text ?? (await readFile(fileOf(id), 'utf8').catch(() => undefined));
  if (source === undefined) {
    throw new OrchError('not_found', `task ${id} was not claimed by this user on this machine`, {
      advice: `claim it with \`orch claim ${id}\`, or pass the ticket of another machine with --ticket`,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw new OrchError(
      'usage',
      '--ticket is not valid JSON: pass what `orch claim --json` printed under "ticket"',
    );
  }
  const ticket = parseAs(TicketFile, value, 'ticket');
  if (ticket.id !== id) throw new OrchError('usage', `the ticket is for task ${ticket.id}, not ${id}`);
  return ticket;
}

/** Removes a ticket whose claim has ended. */
export const dropTicket = (id: string): Promise<void> => rm(fileOf(id), { force: true });

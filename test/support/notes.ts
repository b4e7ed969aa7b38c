// A kind of entries for tests of the journal itself: notes, on subjects of their own.
import * as z from 'zod';
import { JournalOf, newNonce } from '../../src/journal/index.ts';
import { JOURNAL } from '../../src/protocol/index.ts';

export const Note = z.looseObject({
  type: z.string(),
  at: z.string(),
  actor: z.string(),
  nonce: z.string(),
  text: z.string().max(100),
});
export type Note = z.infer<typeof Note>;

export const noteSubject = (id: string, type: string, actor: string): string =>
  `journal.note.${id}.${type}.${actor}`;
/** All notes about an id, also drafts, which decide nothing and whose subject has a token more. */
export const noteHistory = (id: string): string => `journal.note.${id}.>`;
export const allNotes = 'journal.note.>';

export const notes = new JournalOf<Note>({
  stream: JOURNAL,
  schema: Note,
  subject: noteSubject,
  history: noteHistory,
  decided: id => `journal.note.${id}.*.*`,
});

export const newNote = (text: string, fields: Partial<Note> = {}): Note => ({
  type: 'noted',
  at: new Date().toISOString(),
  actor: 'tester',
  nonce: newNonce(),
  text,
  ...fields,
});

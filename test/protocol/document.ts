// The marked sections of subjects.md: `<!-- table TaskRecord -->` up to `<!-- end -->`. What stands in between is
// rendered from the code. In some tables the last column is prose: it is kept from the document as it is, row by row.
import { readFileSync, writeFileSync } from 'node:fs';

const SECTION = /<!-- (?!end -->)([^>]+?) -->\n([\s\S]*?)<!-- end -->/g;

/** Renders a section; `current` is what stands there now. */
export type Renderer = (current: string) => string;

export class MarkedDocument {
  readonly #path: URL;
  text: string;

  constructor(path: URL) {
    this.#path = path;
    this.text = readFileSync(path, 'utf8');
  }

  /** The marked sections in their order, repeats included. */
  sections(): { name: string; body: string }[] {
    return [...this.text.matchAll(SECTION)].map(([, name = '', body = '']) => ({ name, body }));
  }

  body(name: string): string {
    return this.sections().find(section => section.name === name)?.body ?? '';
  }

  /** Writes every section anew; one without a renderer stays. */
  update(renderers: Record<string, Renderer>): void {
    this.text = this.text.replace(SECTION, (_whole, name: string, body: string) => {
      return `<!-- ${name} -->\n${renderers[name]?.(body) ?? body}<!-- end -->`;
    });
    writeFileSync(this.#path, this.text);
  }
}

/** A Markdown table. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return `${[line(columns), `|${' --- |'.repeat(columns.length)}`, ...rows.map(line)].join('\n')}\n`;
}

/** A table whose last column is prose, kept from `current` for each row with the same first cell. */
export function tableWithProse(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  current: string,
): string {
  const prose = new Map(tableRows(current).map(cells => [cells[0], cells.at(-1) ?? '']));
  return table(
    columns,
    rows.map(cells => [...cells, prose.get(cells[0]) ?? '']),
  );
}

/** The rows of a Markdown table without its head. */
export function tableRows(text: string): string[][] {
  const lines = text.split('\n').filter(line => line.startsWith('|'));
  return lines.slice(2).map(line =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map(cell => cell.trim().replaceAll('\\|', '|')),
  );
}

export function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\`\n`;
}

export const code = (text: string): string => `\`${text}\``;

// The little Markdown that the page is made of.

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)];
}

/** Lines of a file, each with its end. */
export const lines = (...all: string[]): string => `${all.join('\n')}\n`;

// What is piped into a command, as text.
import { OrchError } from '../protocol/index.ts';

/** All of stdin. Throws `usage` for bytes that are not UTF-8: they would become something else in silence. */
export async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new OrchError('usage', 'what came on stdin is not text in UTF-8', {
      advice: 'encode it, with base64 for instance',
    });
  }
}

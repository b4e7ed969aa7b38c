// Reads what is piped into a command as one text.
import { isUtf8 } from 'node:buffer';
import { OrchError } from '../protocol/index.ts';

/** All of stdin. Throws `usage` for bytes that are not UTF-8, which would otherwise be replaced silently. */
export async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  if (isUtf8(bytes)) return bytes.toString('utf8').replace(/^\ufeff/, '');
  throw new OrchError('usage', 'stdin is not valid UTF-8', {
    advice: 'encode it, with base64 for instance',
  });
}

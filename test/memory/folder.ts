// Memories in a folder of their own, closed and removed with it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Memory, type MemoryOptions, openMemory } from '../../src/memory/index.ts';

export class Folder implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'orch-memory-'));
  readonly #open: Memory[] = [];

  async open(agent: string, options: Partial<MemoryOptions> = {}): Promise<Memory> {
    const memory = await openMemory({ dir: this.dir, agent, ...options });
    this.#open.push(memory);
    return memory;
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const memory of this.#open) await memory.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

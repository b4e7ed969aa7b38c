// The memories of the agents that a node owns: opened when an agent comes, served on its subjects, closed when it goes.
// Promises:
//  1. Only a node that owns an agent at that moment answers for it; a former owner is silent.
//  2. A question to all is answered once, for all agents of this node that the asker may read.
//  3. A question to a memory that cannot be opened is refused with the reason and its file; the other agents go on.
//  4. On a machine without a database driver every question is refused with the reason, which stands in the node's record
//     and once in its log. Its tasks run as ever.
import { type AgentKeeper, Groups } from '../../agents/index.ts';
import { type Bus, NO_ANSWER, type Request, type Service } from '../../bus/index.ts';
import {
  candidatesFrom,
  driverName,
  type Embedder,
  floorFor,
  type Memory,
  openMemory,
  recallFrom,
  sharedEmbedder,
  statisticsOf,
  type Unread,
} from '../../memory/index.ts';
import {
  CandidatesRequest,
  isId,
  MEMORIES_VERBS,
  MEMORY_VERBS,
  type MemoriesVerb,
  type MemoryVerb,
  memoriesSubject,
  memorySubject,
  messageOf,
  type NodeAgent,
  OrchError,
  type ProtocolRange,
  parseAs,
  RecallRequest,
  SearchRequest,
  StatisticsRequest,
} from '../../protocol/index.ts';
import type { Logger, NodeService } from '../service/index.ts';

/** The name of the micro service that every owned agent is. */
const AGENT_SERVICE_NAME = 'orch-agent';

export interface MemoriesOptions {
  /** The folder of all stores. */
  dir: string;
  node: string;
  version: string;
  protocol: ProtocolRange;
  keeper: Pick<AgentKeeper, 'agents' | 'owns'>;
  embedder?: Embedder;
  logger: Logger;
  /** What stands in the node's record changed. */
  onChange(): void;
}

/** Between two tries to open a memory that could not be opened. */
const RETRY_MS = 5_000;

/** What each question to all must be. */
const QUESTIONS = {
  recall: RecallRequest,
  search: SearchRequest,
  statistics: StatisticsRequest,
  candidates: CandidatesRequest,
} as const;

interface Open {
  service: Service;
  memory: Memory | undefined;
}

export class Memories implements NodeService {
  readonly #bus: Bus;
  readonly #options: MemoriesOptions;
  readonly #groups: Groups;
  readonly #open = new Map<string, Open>();
  #work: Promise<void> = Promise.resolve();
  #checked: Promise<void> | undefined;
  /** Why no memory can be opened on this machine. */
  #refusal: OrchError | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(bus: Bus, options: MemoriesOptions) {
    this.#bus = bus;
    const { embedder } = options;
    this.#options = embedder ? { ...options, embedder: sharedEmbedder(embedder) } : options;
    this.#groups = new Groups(bus);
  }

  /** Opens and serves the memories of the agents that are owned. */
  start(): Promise<void> {
    return this.follow();
  }

  presence(): { features: string[]; problems: string[] } {
    if (this.#refusal) return { features: [], problems: [this.#refusal.message] };
    return { features: ['memory'], problems: [] };
  }

  /** Answers what is asked of all, on a node's own service. */
  serve(service: Service): void {
    for (const verb of MEMORIES_VERBS)
      service.serve(`agents-${verb}`, memoriesSubject(verb), request => this.#answerAll(verb, request));
  }

  /** Opens the memories of agents that came and closes those of agents that went; one call after the other. */
  follow(): Promise<void> {
    this.#work = this.#work
      .then(() => this.#followNow())
      .catch(error =>
        this.#options.logger.error({ error: messageOf(error) }, 'cannot serve the memories of agents'),
      );
    return this.#work;
  }

  /** Closes all. */
  async stop(): Promise<void> {
    await this.#work;
    clearTimeout(this.#retry);
    await Promise.all([...this.#open.keys()].map(agent => this.#closeOne(agent)));
  }

  // Promise 4
  async #check(): Promise<void> {
    try {
      await driverName();
    } catch (error) {
      this.#refusal = unavailable(error);
      this.#options.logger.warn({ error: messageOf(error) }, 'the agents of this node have no memory');
      this.#options.onChange();
    }
  }

  async #followNow(): Promise<void> {
    this.#checked ??= this.#check();
    await this.#checked;
    const owned = new Map(this.#options.keeper.agents.map(agent => [agent.id, agent]));
    for (const agent of [...this.#open.keys()]) if (!owned.has(agent)) await this.#closeOne(agent);
    for (const [id, agent] of owned) {
      const open = this.#open.get(id);
      if (open?.memory) continue;
      if (open) await this.#closeOne(id);
      await this.#openOne(agent);
    }
    // What cannot be opened now may be locked by a process that ends, or be repaired.
    clearTimeout(this.#retry);
    if (!this.#refusal && [...this.#open.values()].some(({ memory }) => !memory))
      this.#retry = setTimeout(() => void this.follow(), RETRY_MS).unref();
  }

  async #openOne(agent: NodeAgent): Promise<void> {
    const memory = this.#refusal ?? (await this.#openFile(agent));
    const service = await this.#serveOne(agent.id, memory).catch(async error => {
      if (!(memory instanceof OrchError)) await memory.close();
      throw error;
    });
    this.#open.set(agent.id, { service, memory: memory instanceof OrchError ? undefined : memory });
  }

  // Promise 3
  async #openFile(agent: NodeAgent): Promise<Memory | OrchError> {
    const { dir, node, embedder, logger } = this.#options;
    try {
      return await openMemory({
        dir,
        agent: agent.id,
        visibility: agent.visibility,
        groupOf: asker => this.#groups.of(asker),
        node,
        ...(agent.group === undefined ? {} : { group: agent.group }),
        ...(embedder === undefined ? {} : { embedder }),
      });
    } catch (error) {
      logger.error({ agent: agent.id, error: messageOf(error) }, 'cannot open the memory of an agent');
      return unavailable(error);
    }
  }

  async #serveOne(agent: string, memory: Memory | OrchError): Promise<Service> {
    const { node, version, protocol } = this.#options;
    const service = await this.#bus.requests.service({
      name: AGENT_SERVICE_NAME,
      version,
      description: 'the memory of an agent',
      metadata: { agent, node },
      protocol,
    });
    for (const verb of MEMORY_VERBS) {
      service.serve(verb, memorySubject(agent, verb), async ({ body }) => {
        // Promise 1: the present owner answers, and this node's reply could arrive first.
        if (!this.#options.keeper.owns(agent)) return NO_ANSWER;
        await this.#learnGroup(body);
        if (memory instanceof OrchError) throw this.#mayRead(agent, body) ? memory : unreadable(agent);
        return answer(memory, verb, body);
      });
    }
    return service;
  }

  async #closeOne(agent: string): Promise<void> {
    const open = this.#open.get(agent);
    this.#open.delete(agent);
    await open?.service.stop();
    await open?.memory?.close();
  }

  async #answerAll(verb: MemoriesVerb, { body }: Request): Promise<unknown> {
    const { node } = this.#options;
    const request = parseAs(QUESTIONS[verb], body ?? {}, verb);
    await this.#learnGroup(request);
    const { memories, closed } = this.#readableBy(request.as, (request as { group?: unknown }).group);
    const reply = await this.#ask(verb, memories, request);
    return { node, ...reply, unread: [...closed, ...reply.unread] };
  }

  #ask(verb: MemoriesVerb, memories: readonly Memory[], request: unknown) {
    switch (verb) {
      case 'statistics':
        return statisticsOf(memories, request as StatisticsRequest);
      case 'candidates':
        return candidatesFrom(memories, request as CandidatesRequest);
      default:
        return recallFrom(memories, verb, request as RecallRequest);
    }
  }

  // Whether an asker may read anything of an agent's memory.
  #mayRead(agent: string, body: unknown): boolean {
    const { as } = (body ?? {}) as { as?: unknown };
    const owned = this.#options.keeper.agents.find(({ id }) => id === agent);
    if (!owned || typeof as !== 'string') return false;
    const asker = { agent: as, group: this.#groups.of(as) };
    return floorFor({ agent, visibility: owned.visibility, group: owned.group }, asker) !== undefined;
  }

  // The memories of agents that are owned now, and those that the asker may read and that are not open.
  #readableBy(as: string, group: unknown): { memories: Memory[]; closed: Unread[] } {
    const memories: Memory[] = [];
    const closed: Unread[] = [];
    for (const agent of this.#options.keeper.agents) {
      if (group !== undefined && agent.group !== group) continue;
      const open = this.#open.get(agent.id);
      if (open?.memory) memories.push(open.memory);
      else if (this.#mayRead(agent.id, { as }))
        closed.push({
          agent: agent.id,
          why: open ? 'its memory cannot be opened' : 'its memory is being opened',
        });
    }
    return { memories, closed };
  }

  async #learnGroup(body: unknown): Promise<void> {
    const { as } = (body ?? {}) as { as?: unknown };
    if (typeof as === 'string' && isId(as)) await this.#groups.learn(as).catch(() => {});
  }
}

// For who asks, a memory that cannot be opened is one that is away, whatever the reason.
const unavailable = (error: unknown) =>
  new OrchError('unavailable', messageOf(error), {
    ...(error instanceof OrchError && error.advice !== undefined ? { advice: error.advice } : {}),
    cause: error,
  });

const unreadable = (agent: string) =>
  new OrchError('unavailable', `the memory of agent ${agent} cannot be asked at the moment`);

function answer(memory: Memory, verb: MemoryVerb, body: unknown): Promise<unknown> {
  // The memory checks the body itself.
  return memory[verb]((body ?? {}) as never);
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ANY_LANE,
  CAPABILITIES_PER_LANE_MAX,
  CAPABILITIES_PER_WORKER_MAX,
  CAPABILITY_LENGTH_MAX,
  didYouMean,
  formatDuration,
  ID_LENGTH_MAX,
  laneConsumer,
  laneOf,
  nearest,
  notFoundError,
  OrchError,
  PRIORITIES,
  parseCapabilities,
  parseCapability,
  parseDuration,
  parseEntrySubject,
  parseId,
  parseLane,
  parseLaneConsumer,
  parsePriority,
  parseTaskSubject,
  queuedSubject,
  quoted,
  taskSubject,
} from '../../src/protocol/index.ts';

const capability = fc
  .stringMatching(/^[a-z0-9]([a-z0-9_=-]{0,30}[a-z0-9])?$/)
  .filter(text => text !== ANY_LANE);
const capabilities = fc.uniqueArray(capability, { maxLength: CAPABILITIES_PER_LANE_MAX });
const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/);

/** What a refused name says, as its reader sees it. */
function refusal(parse: () => unknown): { code: string; message: string; advice: string | undefined } {
  try {
    parse();
  } catch (error) {
    if (error instanceof OrchError) return { code: error.code, message: error.message, advice: error.advice };
    throw error;
  }
  throw new Error('it was accepted');
}

describe('capabilities', () => {
  test('every allowed one is accepted as it is', () => {
    fc.assert(
      fc.property(capability, text => {
        expect(parseCapability(text)).toBe(text);
      }),
    );
  });

  test.each(['', '-rust', 'rust-', '=x', 'Rust', 'a b', 'a.b', 'a+b', 'a*', 'a>', 'rust\n', 'é', 'a/b'])(
    '%j is refused and quoted',
    text => {
      const { code, message } = refusal(() => parseCapability(text));
      expect(code).toBe('usage');
      expect(message).toContain(quoted(text));
      expect(message).toContain('[a-z0-9]');
    },
  );

  test('the longest one is accepted and one character more is refused', () => {
    const longest = 'a'.repeat(CAPABILITY_LENGTH_MAX);
    expect(parseCapability(longest)).toBe(longest);
    expect(refusal(() => parseCapability(`${longest}a`)).message).toContain(`${CAPABILITY_LENGTH_MAX}`);
  });

  test.each([
    ['Free BSD', 'free-bsd'],
    ['RUST', 'rust'],
    ['-gpu-', 'gpu'],
    ['pool:gpu', 'pool-gpu'],
  ])('%j gets the advice %j', (given, meant) => {
    expect(refusal(() => parseCapability(given)).advice).toBe(`did you mean "${meant}"?`);
    expect(parseCapability(meant)).toBe(meant);
  });

  test('one that nothing can be made of gets no advice', () => {
    expect(refusal(() => parseCapability('***')).advice).toBeUndefined();
  });

  test('the name of the lane for everybody is reserved', () => {
    expect(refusal(() => parseCapability(ANY_LANE)).advice).toMatch(/^leave the capabilities out/);
  });

  test('a list is split, trimmed, sorted and freed of repeats', () => {
    expect(parseCapabilities(' rust, freebsd,rust ')).toEqual(['freebsd', 'rust']);
    expect(parseCapabilities('')).toEqual([]);
  });

  test('a worker may have as many as the bound says and not one more', () => {
    const list = Array.from({ length: CAPABILITIES_PER_WORKER_MAX + 1 }, (_, i) => `c${i}`);
    expect(parseCapabilities(list.slice(1))).toHaveLength(CAPABILITIES_PER_WORKER_MAX);
    expect(refusal(() => parseCapabilities(list)).message).toMatch(/65 capabilities given, at most 64/);
  });
});

describe('lanes', () => {
  test('the order and the repeats of what is required make no difference', () => {
    const shuffled = capabilities.chain(list =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        expect(laneOf(other)).toBe(laneOf(list));
        expect(laneOf([...other, ...list])).toBe(laneOf(list));
      }),
    );
  });

  test('a lane is read back as the capabilities that made it', () => {
    fc.assert(
      fc.property(capabilities, list => {
        expect(parseLane(laneOf(list))).toEqual([...list].sort());
      }),
    );
  });

  test('no requirement is the lane for everybody', () => {
    expect(laneOf([])).toBe(ANY_LANE);
    expect(parseLane(ANY_LANE)).toEqual([]);
  });

  test.each(['rust+freebsd', 'rust+rust'])('%j is refused, with its one written form as advice', lane => {
    expect(refusal(() => parseLane(lane)).advice).toBe(`did you mean "${laneOf(lane.split('+'))}"?`);
  });

  test.each(['', '+', 'rust+', 'any+rust', 'a+b+c+d+e+f+g', 'Rust'])('%j is not a lane', lane => {
    expect(refusal(() => parseLane(lane)).code).toBe('usage');
  });

  test('every lane has a durable name that the server takes and that is read back', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PRIORITIES), capabilities, (priority, list) => {
        const name = laneConsumer(priority, laneOf(list));
        expect(name).toMatch(/^[^.*>\s/\\]{1,255}$/);
        expect(parseLaneConsumer(name)).toEqual({ priority, lane: laneOf(list) });
      }),
    );
    expect(parseLaneConsumer('janitor')).toBeUndefined();
  });
});

describe('ids', () => {
  test('every allowed one is accepted as it is', () => {
    fc.assert(
      fc.property(id, text => {
        expect(parseId(text)).toBe(text);
      }),
    );
  });

  test.each(['', '-a', '_a', 'a.b', 'a b', 'a*', '>', 'ü', 'a'.repeat(ID_LENGTH_MAX + 1)])(
    '%j is refused with the name of what it was given for',
    text => expect(refusal(() => parseId(text, 'task id')).message).toMatch(/^task id ".*is not allowed/),
  );

  test('the longest one is accepted', () => {
    expect(parseId('a'.repeat(ID_LENGTH_MAX))).toHaveLength(ID_LENGTH_MAX);
  });

  test('a text that somebody pasted is cut in the message', () => {
    expect(refusal(() => parseId('x'.repeat(100_000))).message.length).toBeLessThan(300);
  });

  test('ids, lanes and actors survive the way through a subject', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PRIORITIES), capabilities, id, id, (priority, list, taskId, actor) => {
        const lane = laneOf(list);
        expect(parseTaskSubject(taskSubject(priority, lane, taskId))).toEqual({ priority, lane, taskId });
        const queued = queuedSubject(taskId, actor, laneConsumer(priority, lane));
        expect(parseEntrySubject(queued)).toEqual({ kind: 'task', id: taskId, type: 'queued', actor });
      }),
    );
  });

  test.each([
    'tasks.medium.any',
    'tasks.medium.any.a.b',
    'tasks.urgent.any.a',
    'jobs.low.any.a',
    'tasks.low..a',
  ])('%j is not the subject of a task', subject => expect(parseTaskSubject(subject)).toBeUndefined());
});

describe('priorities', () => {
  test.each([
    ['hgh', 'high'],
    ['Medium', 'medium'],
    ['mediun', 'medium'],
    ['lo', 'low'],
  ])('%j is refused with the advice %j', (given, meant) => {
    const { message, advice } = refusal(() => parsePriority(given));
    expect(message).toContain('use high, medium, low');
    expect(advice).toBe(`did you mean "${meant}"?`);
  });

  test('a word that is near nothing gets no advice', () => {
    expect(didYouMean('urgent', PRIORITIES)).toEqual({});
    expect(nearest('', PRIORITIES)).toBeUndefined();
  });

  test('one typing error in a word is found, wherever it is', () => {
    const typo = fc
      .tuple(fc.constantFrom(...PRIORITIES), fc.nat(), fc.constantFrom('', 'q'))
      .map(([word, at, put]) => {
        const i = at % word.length;
        return { word, typed: word.slice(0, i) + put + word.slice(i + 1) };
      });
    fc.assert(
      fc.property(typo, ({ word, typed }) => {
        expect(nearest(typed, PRIORITIES)).toBe(word);
      }),
    );
  });
});

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['15s', 15_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    [' 1d ', 86_400_000],
    ['0s', 0],
  ])('%j is %d milliseconds', (text, ms) => expect(parseDuration(text, '--lease')).toBe(ms));

  test.each(['', '15', 's', '-1s', '1 s', '1w', '1s2s', '1e3s', '٣s'])(
    '%j is refused with an example',
    text => {
      const { code, message } = refusal(() => parseDuration(text, '--lease'));
      expect(code).toBe('usage');
      expect(message).toBe(
        `--lease ${quoted(text)} is not a duration: use a number and ms, s, m, h or d, such as 90s`,
      );
    },
  );

  test('both ends of a range belong to it, and what lies outside is told the range', () => {
    const range = { minMs: 1_000, maxMs: 3_600_000 };
    expect([parseDuration('1s', 'x', range), parseDuration('1h', 'x', range)]).toEqual([1_000, 3_600_000]);
    for (const text of ['999ms', '61m'])
      expect(refusal(() => parseDuration(text, 'x', range)).message).toMatch(/from 1s to 1h$/);
  });

  test('what is shown can be read again and is off by less than its last digit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 30 * 86_400_000 }), ms => {
        const shown = formatDuration(ms);
        expect(shown).toMatch(/^\d+(\.\d)?(ms|s|m|h|d)$/);
        expect(Math.abs(parseDuration(shown, 'x') - ms)).toBeLessThanOrEqual(ms / 20);
      }),
    );
    expect([850, 1_500, 180_000, 172_800_000].map(formatDuration)).toEqual(['850ms', '1.5s', '3m', '2d']);
  });
});

test.each([
  ['build-1', ['build-2', 'lab'], 'did you mean "build-2"?'],
  ['zebra', ['build-2', 'lab'], '`orch nodes` lists them'],
  ['zebra', [], '`orch nodes` lists them'],
])('a name that nothing has, %s, is not found, with the nearest or where to look', (name, known, advice) => {
  expect(notFoundError('node', name, known)).toMatchObject({
    code: 'not_found',
    message: `no node ${name}`,
    advice,
  });
});

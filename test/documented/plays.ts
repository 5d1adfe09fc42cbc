/**
 * Attacks on each documented site: tables over shapes, spellings and an attacker's additions, and random sequences of
 * all of them.
 * @module
 */
import fc from 'fast-check';
import { type AskOptions, type Game, type Leak, summary } from './game.ts';
import { BAD_SHAPES, GOOD_SHAPES, SHAPES, type Shape, shapeNamed } from './origin.ts';
import { type Gadget, type Person, SPELLINGS, type Spelling } from './people.ts';

/** Games that are played at a time; each has paths of its own. */
const AT_A_TIME = 8;

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Part of a table to play: about so many rows, other ones for each `from`. */
export interface Slice {
  readonly rows: number;
  readonly from: number;
}

const WHOLE: Slice = { rows: Number.POSITIVE_INFINITY, from: 0 };

function sliced<T>(rows: readonly T[], { rows: wanted, from }: Slice): readonly T[] {
  const every = Math.max(1, Math.ceil(rows.length / wanted));
  // Spread by a multiplicative hash, as the columns of a table have periods of their own.
  return rows.filter((_, index) => (Math.imul(index, 0x9e3779b1) >>> 8) % every === from % every);
}

async function inParallel(plays: readonly (() => Promise<void>)[]): Promise<void> {
  const left = [...plays];
  const worker = async (): Promise<void> => {
    for (let play = left.shift(); play !== undefined; play = left.shift()) await play();
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

const ORDERS: readonly (readonly string[])[] = [
  ['alice', 'bob', 'carl', 'tom', 'uma', 'bea'],
  ['bob', 'alice', 'bea', 'tom', 'carl', 'uma'],
  ['tom', 'bea', 'bob', 'alice', 'uma', 'carl'],
];

/** Every shape at every path: all visitors in turn, and again while the origin fails and time passes. */
export async function playShapes(game: Game, slice: Slice = WHOLE): Promise<void> {
  const rows = SHAPES.flatMap((shape, index) =>
    game.freshPaths().map((target, place) => {
      const order = ORDERS[(index + place) % ORDERS.length] as readonly string[];
      return { shape, target, order, edge: index };
    }),
  );
  const played = sliced(rows, slice);
  await inParallel(
    played.map(({ shape, target, order }) => async () => {
      for (const [edge, name] of order.entries()) await game.ask({ person: game.person(name), target, shape, edge });
    }),
  );
  for (const [after, failure] of [
    [2 * SECOND_MS, shapeNamed('500')],
    [2 * MINUTE_MS, shapeNamed('no answer')],
    [2 * HOUR_MS, shapeNamed('503, max-age')],
  ] as const) {
    game.advance(after);
    await inParallel(
      played.map(({ target, order, edge }) => async () => {
        const [first = '', second = ''] = [...order].reverse();
        await game.ask({ person: game.person(first), target, shape: failure, edge });
        await game.ask({ person: game.person(second), target, shape: failure, edge: edge + 1 });
      }),
    );
  }
}

/** Several visitors at once, who may find each other waiting for the same answer. */
export async function playTogether(game: Game, slice: Slice = WHOLE): Promise<void> {
  const rows = SHAPES.flatMap((shape) => game.freshPaths().map((target) => ({ shape, target })));
  await inParallel(
    sliced(rows, slice).map(({ shape, target }) => async () => {
      const together = (...names: string[]) =>
        Promise.all(names.map((name) => game.ask({ person: game.person(name), target, shape })));
      await together('alice', 'bob', 'carl');
      await together('bob', 'tom', 'mallory');
    }),
  );
}

const SPELLED = ['no caching fields', 'no caching fields, fitting type', 'max-age, fitting type', 'public, max-age'];

/** Every spelling of every path. */
export async function playSpellings(game: Game, slice: Slice = WHOLE): Promise<void> {
  const rows = SPELLINGS.flatMap((spelling) =>
    SPELLED.flatMap((name) => game.freshPaths().map((path) => ({ spelling, shape: shapeNamed(name), path }))),
  );
  await inParallel(
    sliced(rows, slice).map(({ spelling, shape, path }, index) => async () => {
      const target = spelling.of(path, game.extension(index));
      for (const [edge, person] of ['alice', 'mallory', 'bob'].entries()) {
        await game.ask({ person: game.person(person), target, shape, edge, what: spelling.name });
      }
    }),
  );
}

const ATTACKED = ['no caching fields, fitting type', 'max-age, fitting type', '404', 'Last-Modified'];

/** Plays all additions of an attacker, before and after another visitor. */
export async function playGadgets(game: Game, slice: Slice = WHOLE): Promise<void> {
  const rows = game.gadgets.flatMap((gadget, index) =>
    game.freshPaths().map((target, place) => {
      const shape = shapeNamed(ATTACKED[(index + place) % ATTACKED.length] as string);
      return { gadget, target, shape };
    }),
  );
  await inParallel(
    sliced(rows, slice).map(({ gadget, target, shape }) => async () => {
      const mallory = { person: game.person('mallory'), target, gadgets: [gadget], shape };
      await game.ask(mallory);
      await game.ask({ person: game.person('bob'), target, shape, edge: 1 });
      await game.ask({ person: game.person('alice'), target, shape });
      await game.ask({ ...mallory, edge: 1 });
    }),
  );
}

/** All tables. */
export const TABLES: Readonly<Record<string, (game: Game, slice?: Slice) => Promise<void>>> = {
  'every shape of answer': playShapes,
  'several visitors at once': playTogether,
  'every spelling of a path': playSpellings,
  'everything that an attacker adds': playGadgets,
};

/** One request of a random game. */
interface Step {
  readonly person: number;
  readonly path: number;
  readonly spelling: number;
  readonly shape: number;
  readonly gadgets: readonly number[];
  readonly edge: number;
  readonly afterMs: number;
  /** True if the next request is sent before this one is answered. */
  readonly isTogether: boolean;
}

const PAUSES_MS = [0, 0, 0, 0, 2 * SECOND_MS, 20 * SECOND_MS, 2 * MINUTE_MS, HOUR_MS + SECOND_MS, 25 * HOUR_MS];

function steps(game: Game): fc.Arbitrary<readonly Step[]> {
  const below = (length: number): fc.Arbitrary<number> => fc.nat({ max: length - 1 });
  const rarely = (length: number): fc.Arbitrary<number> =>
    fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, below(length));
  const step: fc.Arbitrary<Step> = fc.record({
    person: below(game.people.length),
    path: below(game.freshPaths().length),
    spelling: rarely(SPELLINGS.length),
    shape: fc.oneof(
      below(GOOD_SHAPES.length),
      below(BAD_SHAPES.length).map((index) => GOOD_SHAPES.length + index),
    ),
    gadgets: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      fc.array(below(game.gadgets.length), { maxLength: 2 }),
    ),
    edge: fc.nat({ max: 1 }),
    afterMs: fc.constantFrom(...PAUSES_MS),
    isTogether: fc.boolean(),
  });
  // Few paths, so that requests meet.
  return fc
    .tuple(fc.array(step, { minLength: 2, maxLength: 14 }), below(1_000))
    .map(([list, chosen]) => list.map((one, index) => ({ ...one, path: chosen + (index % 4 === 3 ? one.path : 0) })));
}

export interface RandomOptions {
  readonly runs: number;
  readonly seed: number;
  readonly path?: string | undefined;
}

/** @returns The shortest game with a leak that was found, in words; undefined where there is none. */
export async function playAtRandom(game: Game, { runs, seed, path }: RandomOptions): Promise<string | undefined> {
  let leaks: readonly Leak[] = [];
  const property = fc.asyncProperty(steps(game), async (list) => {
    const before = game.leaks.length;
    const paths = game.freshPaths();
    let last: Promise<unknown> = Promise.resolve();
    for (const step of list) {
      last = Promise.all([last, game.ask(optionsOf(game, step, paths))]);
      if (step.isTogether) continue;
      await last;
      game.advance(step.afterMs);
    }
    await last;
    if (game.leaks.length === before) return true;
    leaks = game.leaks.slice(before);
    return false;
  });
  const found = await fc.check(property, { numRuns: runs, seed, ...(path !== undefined && { path }) });
  if (!found.failed) return undefined;
  const [list = []] = found.counterexample ?? [];
  const paths = game.freshPaths();
  return [
    `seed ${found.seed}, path ${found.counterexamplePath}: ${summary(leaks).join('; ')}`,
    ...list.map((step) => {
      const { person, target, shape, gadgets = [], edge } = optionsOf(game, step, paths);
      const extra = gadgets.map(({ name }) => `, with ${name}`).join('');
      const then = step.isTogether ? '; at once' : step.afterMs > 0 ? `; ${step.afterMs / SECOND_MS} s later` : '';
      return `  ${person.name} asks edge ${edge} for ${target}${extra}: origin would say “${shape.name}”${then}`;
    }),
  ].join('\n');
}

function optionsOf(game: Game, step: Step, paths: readonly string[]): AskOptions {
  const spelling = SPELLINGS[step.spelling] as Spelling;
  return {
    person: game.people[step.person] as Person,
    target: spelling.of(paths[step.path % paths.length] as string, game.extension(step.spelling)),
    shape: SHAPES[step.shape] as Shape,
    gadgets: step.gadgets.map((index) => game.gadgets[index] as Gadget),
    edge: step.edge,
    what: step.spelling === 0 ? '' : spelling.name,
  };
}

/**
 * Events of a network: the steps of a history, drawn by fast-check. Everything shrinks towards little, short and
 * undisturbed.
 * @module
 */
import fc from 'fast-check';
import { WAYS_BACK, type WayBack } from './disk.ts';

/** An edge that asks the owner, the owner of every key, two shields. */
export const NODES = ['edge', 'owner', 'shield-1', 'shield-2'] as const;
export type NodeName = (typeof NODES)[number];

/** Nodes that visitors reach. */
export const EDGES = ['edge', 'owner'] as const;
export type EdgeName = (typeof EDGES)[number];

export type PlaceName = NodeName | 'control' | 'origin';

/** The second one has a prefix of its own, the third one another host, and visitors whose Cache-Control counts. */
export const URLS = [
  { host: 'a.test', target: '/x' },
  { host: 'a.test', target: '/p/y?q=1' },
  { host: 'b.test', target: '/h/z' },
] as const;

/** Cache-Control of an origin's response; what is stored longest comes first. */
export const DIRECTIVES = [
  'max-age=60',
  'max-age=600',
  'max-age=60, stale-while-revalidate=60',
  'max-age=60, stale-if-error=60',
  'max-age=3, stale-while-revalidate=30, stale-if-error=60',
  'max-age=0, stale-while-revalidate=60',
  'max-age=60, must-revalidate',
  'max-age=2',
  's-maxage=60',
  'no-cache',
  'private',
  'no-store',
] as const;

/** Request directives of a visitor; without effect unless the site's rule honours them. */
export const WISHES = [undefined, 'no-cache', 'max-stale=60', 'only-if-cached', 'no-store'] as const;

export interface Profile {
  readonly directives: (typeof DIRECTIVES)[number];
  readonly etag: 'strong' | 'weak' | 'none';
  /** ETag of each version; an ETag that does not change means content that did not change. */
  readonly tags: readonly string[];
  readonly vary: boolean;
  readonly status: 200 | 404;
  /** True if the head has a Content-Length. */
  readonly sized: boolean;
}

export const TAGS = ['t0', 't1'] as const;

export type Aim =
  | { readonly kind: 'url' | 'prefix' | 'pattern' | 'host'; readonly url: number }
  | { readonly kind: 'variant'; readonly url: number; readonly language: string }
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'site' | 'everything' };

export type Action =
  | {
      readonly type: 'visit';
      readonly at: EdgeName;
      readonly url: number;
      readonly language: string;
      readonly method: 'GET' | 'HEAD' | 'POST';
      /** True if edges that do not own the key store it. */
      readonly hot: boolean;
      readonly wish: string | undefined;
      /** The visitor goes away after so long; 0: stays. */
      readonly leavesAfterMs: number;
      /** So many at the same time. */
      readonly visitors: number;
    }
  | { readonly type: 'change'; readonly url: number; readonly profile: Profile }
  | { readonly type: 'purge'; readonly aims: readonly Aim[]; readonly soft: boolean }
  /** Change of content by a publisher, followed by its purge. */
  | {
      readonly type: 'publish';
      readonly url: number;
      readonly profile: Profile;
      readonly aim: Aim;
      readonly soft: boolean;
    }
  | {
      readonly type: 'restart';
      readonly node: NodeName;
      readonly downMs: number;
      /** True if the store and the purge state survive. */
      readonly kept: boolean;
      /** Additional time without the journal. */
      readonly aloneMs: number;
      /** The URL that is purged meanwhile. */
      readonly missed: number | undefined;
      /** True if the journal loses that, too. */
      readonly forgotten: boolean;
    }
  /** The process stands still, and goes on afterwards as if nothing had been. */
  | { readonly type: 'freeze'; readonly node: NodeName; readonly ms: number }
  | { readonly type: 'cut'; readonly between: readonly [PlaceName, PlaceName]; readonly ms: number }
  | { readonly type: 'fail'; readonly how: 'error' | 'reset'; readonly ms: number }
  /** The journal forgets all but its newest records. */
  | { readonly type: 'compact'; readonly keeps: number }
  /** The control node is opened again, with a copy of the journal that lacks its newest records. */
  | { readonly type: 'restore'; readonly loses: number }
  /** The journal that was there before the last restore, or before the last new one, is put back in its place. */
  | { readonly type: 'reinstate' }
  /** The control node begins a new journal. */
  | { readonly type: 'renew' }
  | DiskAction;

/** Events of nodes that have a disk. */
export type DiskAction =
  /** A node is started again: after `kill -9`, or with its machine. */
  | {
      readonly type: 'reboot';
      readonly node: NodeName;
      readonly downMs: number;
      readonly hasPower: boolean;
      /** Bits that change meanwhile: number of the file, number of the bit. */
      readonly flips: readonly (readonly [file: number, bit: number])[];
      /** Way in which the copy of the folder is put back meanwhile, if one was made. */
      readonly back: WayBack | undefined;
      /** The URL that is purged meanwhile. */
      readonly missed: number | undefined;
    }
  /** Eviction from memory. */
  | { readonly type: 'evict'; readonly node: NodeName; readonly url: number }
  /** A thread ends: after so many things that it does with what is stored; 0: at once. */
  | { readonly type: 'end-thread'; readonly node: EdgeName; readonly thread: number; readonly steps: number }
  | { readonly type: 'copy-disk'; readonly node: NodeName }
  | { readonly type: 'flip'; readonly node: NodeName; readonly file: number; readonly bit: number }
  | { readonly type: 'fail-disk'; readonly node: NodeName; readonly ms: number };

export interface Step {
  readonly afterMs: number;
  readonly action: Action;
}

export interface History {
  /** True if the nodes have disks, and edges several threads. */
  readonly hasDisks?: boolean;
  readonly steps: readonly Step[];
  /** Fates of messages, used in rotation (network.ts); empty: each message takes a millisecond. */
  readonly noise: readonly number[];
}

// What one step does is to matter to the next one: most of them are about the same.
const url = fc.constantFrom(0, 0, 0, 1, 2);
const language = fc.constantFrom('de', 'de', 'de', 'en');
const gapMs = fc.constantFrom(0, 1, 0, 2, 4, 8, 20, 50, 100, 300, 1_000, 3_000, 9_000);
const longMs = fc.constantFrom(10, 50, 200, 1_000, 3_000, 7_000, 12_000, 25_000);

const profile: fc.Arbitrary<Profile> = fc.record({
  directives: fc.constantFrom(...DIRECTIVES),
  etag: fc.constantFrom('strong', 'none', 'weak'),
  tags: fc.subarray([...TAGS]),
  vary: fc.boolean(),
  status: fc.constantFrom(200, 200, 200, 404),
  sized: fc.boolean(),
});

const aim: fc.Arbitrary<Aim> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('url', 'prefix', 'pattern', 'host'), url }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('tag'), tag: fc.constantFrom(...TAGS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('variant'), url, language }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('site', 'everything') }) },
);

const visit: fc.Arbitrary<Action> = fc.record({
  type: fc.constant('visit'),
  at: fc.constantFrom(...EDGES),
  url,
  language,
  method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'HEAD', 'POST'),
  hot: fc.boolean(),
  wish: fc.constantFrom(undefined, undefined, ...WISHES),
  leavesAfterMs: fc.constantFrom(0, 0, 0, 0, 3, 20),
  visitors: fc.constantFrom(1, 1, 1, 2, 3),
});

const publish: fc.Arbitrary<Action> = fc
  .record({ url, profile, kind: fc.constantFrom('url', 'tag', 'prefix', 'pattern', 'host'), soft: fc.boolean() })
  .map(({ url, profile, kind, soft }) => ({
    type: 'publish',
    url,
    profile,
    soft,
    aim: kind === 'tag' ? { kind, tag: TAGS[0] } : { kind, url },
  }));

const LINKS: readonly (readonly [PlaceName, PlaceName])[] = [
  ['edge', 'owner'],
  ['edge', 'shield-1'],
  ['owner', 'shield-1'],
  ['owner', 'shield-2'],
  ['shield-1', 'origin'],
  ['shield-2', 'origin'],
];

const cut: fc.Arbitrary<Action> = fc.record({
  type: fc.constant('cut'),
  between: fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(...NODES).map((node): readonly [PlaceName, PlaceName] => [node, 'control']),
    },
    { weight: 1, arbitrary: fc.constantFrom(...LINKS) },
  ),
  ms: longMs,
});

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 20, arbitrary: visit },
  { weight: 8, arbitrary: publish },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('purge'),
      aims: fc.array(aim, { minLength: 1, maxLength: 2 }),
      soft: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('change'), url, profile }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('restart'),
      node: fc.constantFrom(...NODES),
      downMs: fc.constantFrom(10, 10, 50, 200, 1_000, 3_000, 12_000),
      kept: fc.boolean(),
      aloneMs: fc.constantFrom(0, 0, 500, 5_000, 12_000),
      missed: fc.constantFrom(undefined, 0),
      forgotten: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('freeze'), node: fc.constantFrom(...NODES), ms: longMs }) },
  { weight: 4, arbitrary: cut },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('fail'), how: fc.constantFrom('error', 'reset'), ms: longMs }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('compact'), keeps: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('restore'), loses: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('renew', 'reinstate') }) },
);

export const MAX_STEPS = 16;

export const histories: fc.Arbitrary<History> = fc.record({
  steps: fc.array(fc.record({ afterMs: gapMs, action }), { minLength: 1, maxLength: MAX_STEPS, size: 'max' }),
  noise: fc.array(fc.nat({ max: 127 }), { maxLength: 40, size: 'max' }),
});

const node = fc.constantFrom(...EDGES, ...NODES);
const bit = fc.nat({ max: 2 ** 19 });

function rebootOf(node: fc.Arbitrary<NodeName>): fc.Arbitrary<Extract<Action, { type: 'reboot' }>> {
  return fc.record({
    type: fc.constant('reboot'),
    node,
    downMs: fc.constantFrom(10, 10, 200, 3_000),
    hasPower: fc.boolean(),
    flips: fc.array(fc.tuple(fc.nat({ max: 2 }), bit), { maxLength: 3 }),
    back: fc.constantFrom(undefined, undefined, ...WAYS_BACK),
    missed: fc.constantFrom(undefined, 0),
  });
}

const diskAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('evict'), node, url }) },
  { weight: 4, arbitrary: rebootOf(node) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('end-thread'),
      node: fc.constantFrom(...EDGES),
      thread: fc.nat({ max: 1 }),
      steps: fc.nat({ max: 14 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('copy-disk'), node }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('flip'), node, file: fc.nat({ max: 2 }), bit }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('fail-disk'), node, ms: longMs }) },
);

const WARM_VISITS = 6;

/** Visits until a response gets onto the disks on its way, and perhaps until those have it written. */
const warmUp: fc.Arbitrary<readonly Step[]> = fc
  .record({ visit, afterMs: fc.constantFrom(200, 20, 5), restMs: fc.constantFrom(3_000, 300, 0) })
  .map(({ visit, afterMs, restMs }) => {
    const action = { ...visit, method: 'GET', wish: undefined, leavesAfterMs: 0, hot: true } as Action;
    const steps = Array.from({ length: WARM_VISITS }, () => ({ afterMs, action }));
    return [...steps, { afterMs: restMs, action }];
  });

const anyStep: fc.Arbitrary<Step> = fc.record({
  afterMs: gapMs,
  action: fc.oneof({ weight: 4, arbitrary: action }, { weight: 3, arbitrary: diskAction }),
});

/** A thread ends while what is on disk is replaced. */
function endOnTheWay(
  visit: Action,
  { thread, steps, publish }: { readonly thread: number; readonly steps: number; readonly publish: Action },
): readonly Step[] {
  const { at: node, url } = visit as Extract<Action, { type: 'visit' }>;
  const change = { ...(publish as Extract<Action, { type: 'publish' }>), url, aim: { kind: 'url', url } as const };
  return [
    { afterMs: 0, action: change },
    { afterMs: 300, action: { type: 'end-thread', node, thread, steps } },
    { afterMs: 0, action: visit },
    { afterMs: 20, action: visit },
    { afterMs: 300, action: visit },
  ];
}

/** A response gets onto disk, something happens, and a visitor comes whom only the disk can answer. */
const fromDisk: fc.Arbitrary<readonly Step[]> = fc
  .record({
    first: warmUp,
    between: fc.array(anyStep, { maxLength: 3, size: 'max' }),
    ending: fc.option(fc.record({ thread: fc.nat({ max: 1 }), steps: fc.nat({ max: 14 }), publish }), { freq: 2 }),
    lost: fc.constantFrom('evict', 'reboot'),
    reboot: rebootOf(fc.constant('owner')),
    afterMs: gapMs,
    laterMs: fc.constantFrom(0, 1, 100, 2_500),
  })
  .map(({ first, between, ending, lost, reboot, afterMs, laterMs }) => {
    const { action: again } = first[0] as Step;
    const { at: node, url } = again as Extract<Action, { type: 'visit' }>;
    const loss: Action = lost === 'evict' ? { type: 'evict', node, url } : { ...reboot, node };
    return [
      ...first,
      ...between,
      ...(ending === null ? [] : endOnTheWay(again, ending)),
      { afterMs, action: loss },
      { afterMs: laterMs, action: again },
    ];
  });

/** Histories of nodes with disks. */
export const historiesWithDisks: fc.Arbitrary<History> = fc
  .record({
    scenes: fc.array(
      fc.oneof(
        { weight: 5, arbitrary: anyStep.map((step) => [step]) },
        { weight: 2, arbitrary: fromDisk },
        { weight: 1, arbitrary: warmUp },
      ),
      { minLength: 1, maxLength: MAX_STEPS / 2, size: 'max' },
    ),
    noise: fc.array(fc.nat({ max: 127 }), { maxLength: 40, size: 'max' }),
  })
  .map(({ scenes, noise }) => ({ hasDisks: true, steps: scenes.flat(), noise }));

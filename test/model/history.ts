/**
 * Events of a network: the steps of a history, drawn by fast-check. Everything shrinks towards little, short and
 * undisturbed.
 * @module
 */
import fc from 'fast-check';

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
  | { readonly kind: 'url' | 'prefix' | 'host'; readonly url: number }
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
  | { readonly type: 'renew' };

export interface Step {
  readonly afterMs: number;
  readonly action: Action;
}

export interface History {
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
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('url', 'prefix', 'host'), url }) },
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
  .record({ url, profile, kind: fc.constantFrom('url', 'tag', 'prefix', 'host'), soft: fc.boolean() })
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

/**
 * Events of three control nodes on one etcd, drawn by fast-check.
 * @module
 */
import fc from 'fast-check';

export const CONTROLS = 3;
export const FOLLOWERS = 2;

export type Action =
  /** A caller purges; with the key of a call that was made before it is a repetition. */
  | { readonly type: 'append'; readonly at: number; readonly count: number; readonly key: number | undefined }
  | { readonly type: 'kill'; readonly at: number; readonly downMs: number }
  /** The process stands still, and goes on afterwards as if nothing had been. */
  | { readonly type: 'freeze'; readonly at: number; readonly ms: number }
  /** No majority. */
  | { readonly type: 'down'; readonly ms: number }
  | { readonly type: 'compact'; readonly at: number; readonly olderThanMs: number }
  | { readonly type: 'snapshot' }
  /** The store is restored from the last snapshot; without one, nothing happens. */
  | { readonly type: 'restore' };

export interface History {
  readonly steps: readonly { readonly afterMs: number; readonly action: Action }[];
  readonly noise: readonly number[];
}

const at = fc.nat({ max: CONTROLS - 1 });
const longMs = fc.constantFrom(10, 200, 1_000, 2_500, 7_000);

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      type: fc.constant('append'),
      at,
      count: fc.integer({ min: 1, max: 3 }),
      key: fc.constantFrom(undefined, undefined, 0, 0, 1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('kill'), at, downMs: longMs }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('freeze'), at, ms: longMs }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('down'), ms: longMs }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('compact'), at, olderThanMs: fc.constantFrom(0, 500, 5_000) }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('snapshot') }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('restore') }) },
);

const MAX_STEPS = 24;

export const histories: fc.Arbitrary<History> = fc.record({
  steps: fc.array(fc.record({ afterMs: fc.constantFrom(0, 0, 1, 5, 20, 100, 500, 2_500), action }), {
    minLength: 1,
    maxLength: MAX_STEPS,
    size: 'max',
  }),
  noise: fc.array(fc.nat({ max: 127 }), { maxLength: 60, size: 'max' }),
});

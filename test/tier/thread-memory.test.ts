import { test } from 'tap';
import { type MonotonicMs, monotonicMs } from '../../lib/clock.ts';
import { CHECK_MS, ThreadMemory } from '../../tier/thread-memory.ts';

const MIB = 2 ** 20;

function stand() {
  const state = { at: 0, own: 50 * MIB, utilization: 0.5, collected: [] as string[], frees: 0 };
  const memory = new ThreadMemory({
    now: (): MonotonicMs => monotonicMs(state.at),
    ownBytes: () => state.own,
    utilization: () => state.utilization,
    collect() {
      state.collected.push(`${state.at}`);
      state.own -= state.frees;
    },
  });
  /** Checks for so long, while own memory grows. */
  const run = (ms: number, isScarce: boolean, growth = 0): string[] => {
    for (const until = state.at + ms; state.at < until; ) {
      state.at += CHECK_MS;
      state.own += growth;
      memory.check(isScarce);
    }
    return state.collected.splice(0);
  };
  return { state, run };
}

test('a busy thread leaves garbage to V8 while memory is not scarce', async (t) => {
  const { run } = stand();
  t.same(run(60_000, false, 5 * MIB), []);
});

test('while memory is scarce a thread collects what grows, every ten seconds at most', async (t) => {
  const { run } = stand();
  t.same(run(30_000, true, 3 * MIB), ['10000', '20000', '30000']);
});

test('while memory is scarce a thread that does not grow collects once', async (t) => {
  const { run } = stand();
  t.same(run(60_000, true), ['10000']);
});

test('a thread that has nothing to do collects what is left, once', async (t) => {
  const { state, run } = stand();
  run(5_000, false, MIB);
  state.utilization = 0.01;
  t.same(run(60_000, false), ['7000']);
  state.own += 7 * MIB;
  t.same(run(60_000, false), [], 'little is not worth while');
  state.own += MIB;
  t.same(run(60_000, false).length, 1);
});

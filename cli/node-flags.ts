/**
 * Node.js flags of processes that run nodes; they count for all threads.
 * @module
 */

/**
 * Each of them can only be said when a process starts. `cli/seawall` says the same.
 *
 * - SIGUSR1 does not open a debugger, not even before `cli/ignored-signals.ts` is read.
 * - V8 lets its young generation grow to 64 MiB on a 64-bit machine. That is room
 *   for garbage, on top of what a node's `memory` says, and some 50 MiB of a node's
 *   peak in `npm run herd`, which takes as long with 8 MiB.
 * - V8 makes its young generation small again when little is going on, and then
 *   collects it several times as often: at 30,000 hits a second each 80 ms, where those who
 *   came meanwhile waited for half a millisecond. Of a size from the start, it is collected
 *   after some 30,000 hits.
 * - V8 has four threads that help to collect garbage. There is a worker for each
 *   core, so they run at the expense of the one that answers visitors: with four it
 *   gets a fifth of its core meanwhile, with one a half. On one core under hits and misses
 *   the longest turns of the event loop became a third shorter.
 * - V8 collects the old generation when it has grown by 30 % to 300 %, as it thinks
 *   fit; a node's is small, as what is stored is outside of it, and was collected every one or
 *   two seconds. When it may double that is a third as often.
 * - A collection of the old generation empties the young one as well, which is full of requests
 *   that have ended since it began to mark: V8 copies what is marked of a page, unless that is
 *   more than 70 % of it. From 30 % on the page as a whole becomes part of the old
 *   generation: with a million objects stored, 3 ms instead of 5 to 18 without answers.
 * - Near the bound of its memory, and when it is idle, a thread collects garbage itself (tier/thread-memory.ts).
 */
export const NODE_FLAGS: readonly string[] = [
  '--expose-gc',
  '--disable-sigusr1',
  '--min-semi-space-size=8',
  '--max-semi-space-size=8',
  '--v8-pool-size=1',
  '--heap-growing-percent=100',
  '--page-promotion-threshold=30',
];

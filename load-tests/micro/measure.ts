/**
 * Duration of a call, and memory held by objects.
 * @module
 */

const BATCHES = 9;
const BATCH_MS = 40;

/** Sink for results, so that the compiler cannot remove the calls. */
let sink: unknown;

/** @returns Nanoseconds, the median of several batches. */
export function nanosecondsPer(call: () => unknown): number {
  let count = 64;
  while (batch(call, count) < BATCH_MS) count *= 2;
  const times = Array.from({ length: BATCHES }, () => (batch(call, count) / count) * 1e6);
  return times.sort((a, b) => a - b)[BATCHES >> 1] as number;
}

/** @returns Milliseconds. */
function batch(call: () => unknown, count: number): number {
  const began = performance.now();
  for (let i = 0; i < count; i++) sink = call();
  const took = performance.now() - began;
  if (sink === batch) throw new Error('never');
  return took;
}

/** @returns Bytes that are held now: objects, buffers. @throws when the command runs without `--expose-gc`. */
export function heldBytes(): number {
  if (global.gc === undefined) throw new Error('run with --expose-gc');
  for (let i = 0; i < 3; i++) global.gc();
  const { heapUsed, external } = process.memoryUsage(); // external includes buffers
  return heapUsed + external;
}

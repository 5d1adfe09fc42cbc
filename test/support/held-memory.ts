/**
 * Memory that is held, without what only waits for the garbage collector.
 * @module
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of array buffers in use in this process. */
export function heldArrayBuffers(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

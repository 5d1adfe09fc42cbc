/**
 * What a process that runs nodes is started with, besides the program.
 * @module
 */

/**
 * V8 lets its young generation grow to 64 MiB on a 64-bit machine. That is room
 * for garbage, on top of what a node's `memory` says, and some 50 MiB of a node's
 * peak in `npm run herd`, which takes as long with 8 MiB. It can only be said when
 * a process starts.
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=8'];

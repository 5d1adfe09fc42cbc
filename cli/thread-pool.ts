/**
 * Size of libuv's pool, which reads files, resolves names and compresses for all threads of the process: as many for
 * each core as a process has by default. To be imported before anything uses the pool; the environment's own
 * UV_THREADPOOL_SIZE counts more.
 * @module
 */
import { availableParallelism } from 'node:os';

const PER_CORE = 4;
const MAX_THREADS = 128;

process.env['UV_THREADPOOL_SIZE'] ??= String(Math.min(MAX_THREADS, PER_CORE * availableParallelism()));

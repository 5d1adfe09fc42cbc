/**
 * The program of a worker's thread.
 * @module
 */
import '../compile-cache.ts';

await import('./worker.ts');

/**
 * The command line, which `cli/seawall COMMAND` starts with the flags that it needs.
 * @module
 */
import './ignored-signals.ts';
import './thread-pool.ts';
import './compile-cache.ts';

await import('./main.ts');

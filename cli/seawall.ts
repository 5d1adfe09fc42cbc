/**
 * The command line, which `cli/seawall COMMAND` starts with the flags that it needs. What V8 makes of the source
 * is kept beside the packages, so that a start takes half the time.
 * @module
 */
import './ignored-signals.ts';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/seawall'));
await import('./main.ts');

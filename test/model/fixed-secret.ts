/**
 * The secret of the hash of keys, the same in each process, so that a history is played again as it was; imported
 * before cache/store/key-bytes.ts is.
 * @module
 */
import { setEnvironmentData } from 'node:worker_threads';
import { KEY_BYTES } from '../../lib/siphash.ts';

setEnvironmentData('seawall.key-hash', new Uint8Array(KEY_BYTES));

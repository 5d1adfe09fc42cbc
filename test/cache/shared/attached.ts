/** A thread that says which version of key 1 it finds, stores the next one, and goes on running. */
import { parentPort, workerData } from 'node:worker_threads';
import type { SharedMemory } from '../../../cache/shared/layout.ts';
import { attach } from '../../../cache/shared/shared-memory.ts';
import { store, versionIn } from './payloads.ts';

const { buffers, token } = workerData as { readonly buffers: SharedMemory; readonly token: number };
const shared = attach(buffers, token);
const found = versionIn(shared, 1) ?? 0;
store(shared, 1, found + 1);
parentPort?.postMessage(found);
setInterval(() => undefined, 1_000);

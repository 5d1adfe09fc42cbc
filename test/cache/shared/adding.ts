/** A thread that adds responses to those of one key. */
import { parentPort, workerData } from 'node:worker_threads';
import type { SharedMemory } from '../../../cache/shared/layout.ts';
import { attach } from '../../../cache/shared/shared-memory.ts';
import type { StoredBody, StoreWriter } from '../../../cache/store/store.ts';
import { keyOf, responseOf } from './payloads.ts';

const { buffers, token, first, count } = workerData as {
  buffers: SharedMemory;
  token: number;
  first: number;
  count: number;
};
const store = attach(buffers, token);
for (let version = first; version < first + count; version++) {
  let writer: StoreWriter | undefined;
  const response = responseOf(1, version, (bytes): StoredBody | undefined => {
    writer = store.begin(bytes.length);
    return writer?.append(bytes, true) === undefined ? undefined : writer.commit(0);
  });
  if (response === undefined) throw new Error('the store has no room');
  store.exclusively(() => store.set(keyOf(1), [response, ...store.get(keyOf(1))]));
  writer?.abort();
}
parentPort?.postMessage('done');

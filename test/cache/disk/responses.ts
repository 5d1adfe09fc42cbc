/** Responses whose body says what they are stored under. */
import type { MemoryStore } from '../../../cache/store/memory-store.ts';
import type { StoredResponse } from '../../../cache/stored-response.ts';
import { wallNow } from '../../../lib/clock.ts';
import { storedResponse } from '../../support/stored-response.ts';

export { ledger } from '../../support/stored-response.ts';

export function responseOf(store: MemoryStore, key: string, bytes: number): StoredResponse {
  const writer = store.begin(bytes);
  writer?.append(Buffer.alloc(bytes, `${key} `));
  const body = writer?.commit(0);
  if (body === undefined) throw new Error('the store has no room');
  return { ...storedResponse(store, 1, bytes, wallNow()), body };
}

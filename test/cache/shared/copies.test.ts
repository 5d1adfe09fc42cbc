/** Copies of bodies in shared memory, which readers give out. */
import { test } from 'tap';
import { BUFFER_BYTES, copyToPool } from '../../../http/body/buffer-pool.ts';
import { storedResponse } from '../../support/stored-response.ts';
import { openStore } from './open-store.ts';

const SOURCE = Buffer.alloc(BUFFER_BYTES);

for (const bytes of [20_000, BUFFER_BYTES, 300_001]) {
  test(`copies of a body of ${bytes} bytes stay until they are released, and the memory of large ones is used again`, async (t) => {
    const { store } = openStore(256 * 2 ** 20);
    store.set('a', [storedResponse(store, 1, bytes, 0)]);
    const [stored] = store.get('a');
    const reader = stored?.body.open({ start: 0, end: bytes });
    const given: Buffer[] = [];
    for (let piece = reader?.next(); Buffer.isBuffer(piece); piece = reader?.next()) {
      t.ok(piece.length <= BUFFER_BYTES);
      t.ok(piece.equals(Buffer.alloc(piece.length, 'x')));
      const before = given.at(-1);
      if (before !== undefined) t.not(piece.buffer, before.buffer, 'the one before it was not released');
      given.push(piece); // pieces of a store of this size are larger than a buffer
      store.delete('a');
      t.not(copyToPool(SOURCE, 0, BUFFER_BYTES).buffer, piece.buffer);
      t.ok(piece.equals(Buffer.alloc(piece.length, 'x')), 'what is evicted is read to its end');
    }
    t.equal(
      given.reduce((sum, { length }) => sum + length, 0),
      bytes,
    );
    reader?.close();
    reader?.release?.();
    if (bytes < BUFFER_BYTES) return;
    const again = Array.from({ length: given.length }, () => copyToPool(SOURCE, 0, BUFFER_BYTES).buffer);
    const large = given.filter(({ length }) => length >= BUFFER_BYTES / 2).at(-1);
    t.ok(large !== undefined && again.includes(large.buffer as ArrayBuffer));
  });
}

import { test } from 'tap';
import { BUFFER_BYTES, beginWait, bytesForReader, endWait, setScarce } from '../../../http/body/buffer-pool.ts';

const MIB = 2 ** 20;

test('readers that take nothing hold the less, the more they are, and a bounded part of them all', async (t) => {
  for (const { scarce, most } of [
    { scarce: false, most: 16 * MIB },
    { scarce: true, most: 2 * MIB },
  ]) {
    setScarce(scarce);
    t.equal(bytesForReader(), BUFFER_BYTES);
    for (let readers = 1; readers <= 20_000; readers++) {
      beginWait();
      const bytes = bytesForReader();
      if (bytes > BUFFER_BYTES || bytes < 4_096) t.fail(`${bytes} for each of ${readers}`);
      if (bytes > 4_096 && bytes * readers > most) t.fail(`${bytes * readers} for ${readers}`);
    }
    for (let readers = 0; readers < 20_000; readers++) endWait();
    t.equal(bytesForReader(), BUFFER_BYTES);
  }
  setScarce(false);
});

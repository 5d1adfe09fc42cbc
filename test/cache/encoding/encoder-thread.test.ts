import { gunzipSync } from 'node:zlib';
import { test } from 'tap';
import { type Encode, type EncodeResult, withEncoderThread } from '../../../cache/encoding/encoder-thread.ts';

function body(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text));
}

async function once(action: (encode: Encode) => Promise<unknown>): Promise<void> {
  await withEncoderThread(async (encode) => {
    await action(encode);
    return false;
  });
}

test('a body is encoded by another thread, whose memory it becomes', async (t) => {
  let result: EncodeResult | undefined;
  const bytes = body('a'.repeat(1_000));
  await once(async (encode) => {
    result = await encode({ bytes, coding: 'gzip', isFast: true });
  });
  t.equal(gunzipSync(result?.bytes as Uint8Array).toString(), 'a'.repeat(1_000));
  t.equal(bytes.length, 0, 'moved, not copied');
});

test('there is one such thread at a time', async (t) => {
  let running = 0;
  let most = 0;
  const run = () =>
    once(async (encode) => {
      most = Math.max(most, ++running);
      await encode({ bytes: body('b'.repeat(50_000)), coding: 'br', isFast: true });
      running--;
    });
  await Promise.all([run(), run(), run()]);
  t.equal(most, 1);
});

test('an order that fails ends the thread, and the next one gets another', async (t) => {
  const broken = { bytes: body('c'.repeat(1_000)), coding: 'nonsense' as 'br', isFast: true };
  await t.rejects(once((encode) => encode(broken)));
  let result: EncodeResult | undefined;
  await once(async (encode) => {
    result = await encode({ bytes: body('d'.repeat(1_000)), coding: 'br', isFast: false });
  });
  t.ok(result?.bytes);
});

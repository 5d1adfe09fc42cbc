/** Messages in a byte stream. */
import fc from 'fast-check';
import { test } from 'tap';
import { framed, frameReader } from '../../../geo/dns/frames.ts';
import { fuzzer } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

test('a stream of messages is read however it is split', async (t) => {
  fuzz(
    'a stream of messages is read however it is split',
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (messages, sizes) => {
        const stream = Buffer.concat(messages.map((message) => framed(Buffer.from(message))));
        const read: string[] = [];
        const reader = frameReader(4_096, (message) => {
          read.push(message.toString('hex'));
          return true;
        });
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const size = sizes[i % sizes.length] as number;
          if (!reader.push(stream.subarray(at, at + size))) return false;
          at += size;
        }
        return read.join() === messages.map((message) => Buffer.from(message).toString('hex')).join();
      },
    ),
    { seed: 1 },
  );
  t.pass();
});

test('a message that is too long is refused as soon as its length is known, and one of the length is not', async (t) => {
  const lengths: number[] = [];
  const reader = (maxBytes: number) => frameReader(maxBytes, (message) => lengths.push(message.length) > 0);
  t.ok(reader(10).push(framed(Buffer.alloc(10))));
  t.same(lengths, [10]);
  const whole = framed(Buffer.alloc(11));
  t.ok(reader(10).push(whole.subarray(0, 1)));
  t.notOk(reader(10).push(whole.subarray(0, 2)), 'before its first byte');
});

test('nothing is read behind a message that ends the connection', async (t) => {
  let read = 0;
  const reader = frameReader(10, () => {
    read += 1;
    return read < 2;
  });
  t.notOk(reader.push(Buffer.concat(Array.from({ length: 5 }, () => framed(Buffer.alloc(3))))));
  t.equal(read, 2);
});

test('a message of 65,535 bytes has a frame, and a longer one has none', async (t) => {
  t.equal(framed(Buffer.alloc(65_535)).length, 65_537);
  t.throws(() => framed(Buffer.alloc(65_536)), RangeError);
});

import { test } from 'tap';
import { WholeBody } from '../../../http/http1/whole-body.ts';

test('a body that is there is one piece of a stream', async (t) => {
  t.strictSame(await new WholeBody(Buffer.from('all')).toArray(), [Buffer.from('all')]);
  t.strictSame(await new WholeBody(Buffer.alloc(0)).toArray(), []);
});

test('its bytes are given back once, when it is destroyed', async (t) => {
  let released = 0;
  const body = new WholeBody(Buffer.from('all'));
  body.heldBy(() => released++);
  t.equal(body.bytes.toString(), 'all');
  body.destroy();
  body.destroy();
  await new Promise((resolve) => body.once('close', resolve));
  t.equal(released, 1);
  t.equal(body.bytes.length, 0);
});

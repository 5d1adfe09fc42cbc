import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'tap';
import { endWhenStalled } from '../../../http/body/body-pace.ts';

test('a body that arrives is passed on as it is', async (t) => {
  const body = new PassThrough();
  const passed = endWhenStalled(body, 60_000);
  body.end('all of it');
  t.equal(Buffer.concat(await passed.toArray()).toString(), 'all of it');
});

test('a body that stalls breaks off', async (t) => {
  const body = new PassThrough();
  const passed = endWhenStalled(body, 20);
  const alive = setInterval(() => undefined, 1_000); // its own timer keeps no process alive
  t.teardown(() => clearInterval(alive));
  body.write('a part');
  passed.resume();
  const [error] = await once(passed, 'error');
  t.match(error, { code: 'request_timeout' });
  t.ok(body.destroyed, 'and its source with it');
});

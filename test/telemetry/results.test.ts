import { test } from 'tap';
import { HTTP_ERRORS } from '../../http/errors.ts';
import { isForwarded, isHit } from '../../telemetry/results.ts';

for (const { result, hit, forwarded } of [
  { result: 'hit', hit: true, forwarded: false },
  { result: 'peer-hit', hit: true, forwarded: false },
  { result: 'stale-while-revalidate', hit: true, forwarded: false },
  { result: 'uri-miss', hit: false, forwarded: true },
  { result: 'revalidated', hit: false, forwarded: true },
  { result: 'expired', hit: false, forwarded: true },
  { result: 'redirect', hit: false, forwarded: false },
  { result: 'constructor', hit: false, forwarded: false },
]) {
  test(`${result}: ${hit ? 'hit' : forwarded ? 'forwarded' : 'neither'}`, async (t) => {
    t.strictSame([isHit(result), isForwarded(result)], [hit, forwarded]);
  });
}

test('an error is neither', async (t) => {
  for (const code of Object.keys(HTTP_ERRORS)) t.notOk(isHit(code) || isForwarded(code), code);
});

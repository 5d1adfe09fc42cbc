/**
 * A request body that is sent on as it arrives: one that stalls gives the
 * connection upstream back.
 * @module
 */
import { pipeline, type Readable, Transform } from 'node:stream';
import { monotonicNow, msSince } from '../../lib/clock.ts';
import { HttpError } from '../errors.ts';

/** @returns The body, which breaks off with `request_timeout` when nothing of it has arrived for so long. */
export function endWhenStalled(body: Readable, timeoutMs: number): Readable {
  let since = monotonicNow();
  const passed = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      since = monotonicNow();
      done(null, chunk);
    },
  });
  const look = setInterval(
    () => {
      if (passed.writableNeedDrain)
        since = monotonicNow(); // what arrives waits for the other side
      else if (msSince(since) > timeoutMs) {
        passed.destroy(new HttpError('request_timeout', 'the body has stalled'));
      }
    },
    Math.ceil(timeoutMs / 4),
  ).unref();
  pipeline(body, passed, () => clearInterval(look));
  return passed;
}

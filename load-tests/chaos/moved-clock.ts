/**
 * A wall clock that can be moved, loaded with `--import` before a node, in each of its threads: `Date` is ahead by as
 * many milliseconds as a file says. What OpenSSL and SQLite read themselves is not moved.
 * @module
 */
import { readFileSync } from 'node:fs';

/** Path of the file, in the environment of the node. */
export const CLOCK_FILE = 'SEAWALL_TEST_CLOCK';

const READ_EVERY_MS = 100;

const path = process.env[CLOCK_FILE];
if (path !== undefined) {
  let aheadMs = 0;
  const read = (): void => {
    try {
      aheadMs = Number(readFileSync(path, 'utf8')) || 0;
    } catch {
      aheadMs = 0; // it is never missing while the command runs
    }
  };
  setInterval(read, READ_EVERY_MS).unref();
  const RealDate = Date;
  const now = RealDate.now.bind(RealDate);
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now() + aheadMs] : args, newTarget) as object,
    apply: () => new RealDate(now() + aheadMs).toString(),
  });
  RealDate.now = () => now() + aheadMs;
}

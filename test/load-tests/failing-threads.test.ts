/** The thread whose connection was lost: ports are used again, and by connections to other ports of the edge. */
import { test } from 'tap';
import { threadOf } from '../../load-tests/thread-chaos/failing-threads.ts';

const EDGE = 8080;
const loss = { port: 40_000, began: 100, lost: 200, error: 'read ECONNRESET' };
const connection = { port: EDGE, remotePort: 40_000, thread: 1, time: 150 };

test('an answer is lost with the thread that took its connection', (t) => {
  t.equal(threadOf(loss, EDGE, [connection]), 1);
  t.equal(threadOf(loss, EDGE, [connection, { ...connection, port: 9090, thread: 2 }]), 1, 'not one at another port');
  t.equal(
    threadOf(loss, EDGE, [connection, { ...connection, remotePort: 40_001, thread: 2 }]),
    1,
    'not another visitor',
  );
  t.equal(threadOf(loss, EDGE, [{ ...connection, time: 99, thread: 2 }, connection]), 1, 'not the one before');
  t.equal(threadOf(loss, EDGE, [connection, { ...connection, time: 201, thread: 2 }]), 1, 'not the one after');
  t.equal(threadOf(loss, EDGE, [{ ...connection, time: 100 }]), 1, 'in the same millisecond');
  t.end();
});

test('no thread took the connection of an answer that was lost before', (t) => {
  t.equal(threadOf(loss, EDGE, []), undefined);
  t.equal(threadOf({ ...loss, port: undefined }, EDGE, [connection]), undefined, 'not connected');
  t.equal(
    threadOf(loss, EDGE, [
      { ...connection, port: 9090 },
      { ...connection, time: 99 },
    ]),
    undefined,
  );
  t.end();
});

import { test } from 'tap';
import { callsOf } from '../../load-tests/bench/strace-output.ts';

const PRINTED = `strace: Process 42 attached with 2 threads
strace: Process 42 detached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.20    0.612000          24     25537           write
 30.10    0.301000          11     25570         3 read
  8.70    0.087000          92       939           epoll_pwait
------ ----------- ----------- --------- --------- ----------------
100.00    1.000000          19     52046         3 total
`;

test('system calls are counted by name, the most frequent first, without their sum', async (t) => {
  const { total, byName } = callsOf(PRINTED);
  t.equal(total, 52_046);
  t.strictSame(
    [...byName],
    [
      ['read', 25_570],
      ['write', 25_537],
      ['epoll_pwait', 939],
    ],
  );
});

test('a program that makes none has none', async (t) => {
  t.strictSame(callsOf('strace: Process 42 attached\n'), { total: 0, byName: new Map() });
});

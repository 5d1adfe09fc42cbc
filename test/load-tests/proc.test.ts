import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'tap';
import { familyOf, parseBusy, parseResident, parseStat, usageOf } from '../../load-tests/bench/proc.ts';

/**
 * proc(5): pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime …
 */
const line = (pid: number, name: string, parent: number): string =>
  `${pid} (${name}) S ${parent} 7 7 0 -1 4194560 100 200 0 0 150 50 20 30 20 0 1 0 12345 1000000 250 18446744073709551615`;

for (const name of ['nginx', 'a (strange) name', ') 1 2 3 (', 'two\nlines']) {
  test(`a process called ${JSON.stringify(name)} is read`, async (t) => {
    t.same(parseStat(line(42, name, 7)), { pid: 42, parent: 7, cpuMicros: 2_500_000, systemMicros: 800_000 });
  });
}

for (const text of ['', '42', '42 (nginx)', '42 (nginx) S x', '42 nginx S 7 7 7 0']) {
  test(`${JSON.stringify(text)} is no line of /proc/PID/stat`, async (t) => {
    t.throws(() => parseStat(text), /not a line/);
  });
}

test('a server is the started process and all of its descendants', async (t) => {
  const stats = [
    line(1, 'init', 0),
    line(10, 'master', 1),
    line(11, 'worker', 10),
    line(12, 'helper', 11),
    line(20, 'other', 1),
  ];
  t.same(
    familyOf(10, stats.map(parseStat)).map(({ pid }) => pid),
    [10, 11, 12],
  );
  t.same(familyOf(99, stats.map(parseStat)), []);
});

test('resident memory is read', async (t) => {
  t.equal(parseResident('Name:\tx\nVmHWM:\t  9999 kB\nVmRSS:\t    1234 kB\n'), 1234 * 1024);
  t.equal(parseResident('Name:\tzombie\n'), 0);
});

test('processor time includes programs and stolen time', async (t) => {
  const stat = 'cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 100 20 30 4000 5 6 7 8 0 0\ncpu1 1 2 3 4 5 6 7 8 0 0\n';
  t.equal(parseBusy(stat, 0), 1_580_000);
  t.equal(parseBusy(stat, 1), 140_000);
  t.equal(parseBusy(stat, 2), 0);
});

test(
  'processor time of a child of a child is counted',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const burn = 'const used = () => process.cpuUsage().user + process.cpuUsage().system; while (used() < 300000);';
    const wait = 'process.stdout.write("x"); setInterval(() => {}, 1000)';
    const child = spawn('/bin/sh', ['-c', '"$0" -e "$1"; true', process.execPath, `${burn}${wait}`], {
      detached: true,
    });
    const { pid = 0 } = child;
    t.teardown(() => process.kill(-pid, 'SIGKILL'));
    await once(child.stdout, 'data');
    const { cpuMicros, residentBytes } = usageOf(pid);
    t.ok(cpuMicros >= 200_000, `${cpuMicros} µs`);
    t.ok(residentBytes > 20e6, `${residentBytes} bytes`);
  },
);

/** Processor time of a process, to the nanosecond that the scheduler counts. @module */
import { readdirSync, readFileSync } from 'node:fs';
import { familyPids } from '../bench/proc.ts';

/** @returns Microseconds of all threads of a process and its descendants, up to now (Linux: /proc/PID/task/TID/schedstat). */
export function threadMicros(root: number): number {
  let nanos = 0;
  for (const pid of familyPids(root)) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
    }
  }
  return nanos / 1_000;
}

/** @returns Microseconds of the process outside the kernel, in steps of a tick. */
export function userMicros(root: number): number {
  let ticks = 0;
  for (const pid of familyPids(root)) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    ticks += Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[11]);
  }
  return ticks * TICK_MICROS;
}

/** 100 a second on every Linux that a user sees (`getconf CLK_TCK`). */
const TICK_MICROS = 10_000;

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

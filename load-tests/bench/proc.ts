/**
 * Reads processes from Linux's /proc: parents, processor time, memory. A server is the started process and all its
 * descendants. A server is the process that was started and all of its descendants.
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in /proc/PID/stat: 100 on every Linux that a user sees (`getconf CLK_TCK`). */
const TICKS_PER_SECOND = 100;

/** From one line of /proc/PID/stat (proc(5)). */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /**
   * User and system time of all its threads, and of its children that have ended; in microseconds, in steps of a tick.
   */
  readonly cpuMicros: number;
  /** System time of it. */
  readonly systemMicros: number;
}

/** @throws {Error} when the line is not one of /proc/PID/stat. */
export function parseStat(line: string): ProcessStat {
  // The name stands in parentheses, and may hold spaces and parentheses itself.
  const open = line.indexOf('(');
  const close = line.lastIndexOf(')');
  const fields = line.slice(close + 2).split(' ');
  const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
  const stat = {
    pid: Number(line.slice(0, open)),
    parent: Number(fields[1]),
    cpuMicros:
      (((user ?? Number.NaN) + (system ?? Number.NaN) + (childrenUser ?? Number.NaN) + (childrenSystem ?? Number.NaN)) /
        TICKS_PER_SECOND) *
      1e6,
    systemMicros: (((system ?? Number.NaN) + (childrenSystem ?? Number.NaN)) / TICKS_PER_SECOND) * 1e6,
  };
  if (open < 0 || close < open || !Object.values(stat).every(Number.isFinite)) {
    throw new Error(`not a line of /proc/PID/stat: ${JSON.stringify(line)}`);
  }
  return stat;
}

/** Resident memory in bytes, from the text of /proc/PID/status; 0 for a process without any (it is ending). */
export function parseResident(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/**
 * Microseconds in which a processor ran programs (or was taken away by the machine below), from the text of /proc/stat.
 * Interrupts are left out: the kernel attributes their time arbitrarily.
 */
export function parseBusy(stat: string, core: number): number {
  const fields = new RegExp(`^cpu${core} (.*)$`, 'm').exec(stat)?.[1]?.split(' ').map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = fields;
  return ((user + nice + system + steal) / TICKS_PER_SECOND) * 1e6;
}

/** Like {@link parseBusy}, now. */
export function busyMicros(core: number): number {
  return parseBusy(read('/proc/stat'), core);
}

/** Resources that a server has used so far. */
export interface Usage {
  readonly cpuMicros: number;
  readonly systemMicros: number;
  readonly residentBytes: number;
}

/** @param root - Process id of what was started. */
export function usageOf(root: number): Usage {
  let cpuMicros = 0;
  let systemMicros = 0;
  let residentBytes = 0;
  for (const { pid, ...times } of familyOf(root, allStats())) {
    cpuMicros += times.cpuMicros;
    systemMicros += times.systemMicros;
    residentBytes += parseResident(read(`/proc/${pid}/status`));
  }
  return { cpuMicros, systemMicros, residentBytes };
}

/**
 * Processor time so far of all threads of a process and its descendants, to the nanosecond that the scheduler counts
 * (/proc/PID/task/TID/schedstat): /proc/PID/stat counts ticks, of which a second has a hundred.
 *
 * @param root - Process id of what was started.
 */
export function threadMicros(root: number): number {
  let micros = 0;
  for (const pid of familyPids(root)) {
    for (const thread of list(`/proc/${pid}/task`)) micros += microsOf(pid, thread);
  }
  return micros;
}

/** The same of the main thread of each process. */
export function mainThreadMicros(root: number): number {
  return familyPids(root).reduce((sum, pid) => sum + microsOf(pid, String(pid)), 0);
}

function microsOf(pid: number, thread: string): number {
  return Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]) / 1_000;
}

/** @returns The root's line and those of all its descendants. */
export function familyOf(root: number, stats: readonly ProcessStat[]): ProcessStat[] {
  const family = stats.filter(({ pid }) => pid === root);
  // Grows while it is walked: children, then their children.
  for (const { pid } of family) family.push(...stats.filter(({ parent }) => parent === pid));
  return family;
}

/** Process ids of the root and all its descendants. */
export function familyPids(root: number): number[] {
  return familyOf(root, allStats()).map(({ pid }) => pid);
}

function allStats(): ProcessStat[] {
  return list('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const line = read(`/proc/${pid}/stat`);
      return line === '' ? [] : [parseStat(line)];
    });
}

/** Processes end while they are looked at: then there is nothing to read. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

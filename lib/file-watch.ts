/**
 * Watching of files by looking at them at an interval. Events of the file
 * system (inotify) miss what happens behind a link or in another container's
 * volume.
 *
 * Files that are read together are one group. A change of a group counts once
 * it is the same at two looks in a row, so that files that are still being
 * written, or of which the second is not there yet, are not read.
 * @module
 */
import { type BigIntStats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

/** A group of files that are read together. */
export class WatchedFiles {
  readonly files: readonly string[];
  /** State of the files when they were last read. */
  #read = '';
  /** State of the files at the last look. */
  #seen = '';

  constructor(files: readonly string[]) {
    this.files = files;
  }

  /** Notes the files' state as read: to be called before they are read for the first time. */
  noteRead(): void {
    this.#read = this.files.map(stateOfSync).join();
  }

  /**
   * Looks at the files once. Never rejects: that a file is missing or may not be read is a state like others.
   *
   * @returns Whether they are not what was read last, and have settled. They count as read from then on, whatever
   * reading
   *   them comes to: the caller hears of a change once.
   */
  async hasChanged(): Promise<boolean> {
    const state = (await Promise.all(this.files.map(stateOf))).join();
    const isSettled = state === this.#seen;
    this.#seen = state;
    if (state === this.#read || !isSettled) return false;
    this.#read = state;
    return true;
  }
}

export interface Poll {
  /** Looks now, unless it is looking already. Never rejects. */
  look(): Promise<void>;
  close(): void;
}

/** Looks at an interval, one look at a time. Does not keep the process running. @param look - Never rejects. */
export function pollRegularly(look: () => Promise<void>, intervalMs: number): Poll {
  let looking = false;
  const poll = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    try {
      await look();
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void poll(), intervalMs).unref();
  return { look: poll, close: () => clearInterval(timer) };
}

async function stateOf(file: string): Promise<string> {
  try {
    return stateText(await stat(file, { bigint: true }));
  } catch (error) {
    return faultText(error);
  }
}

function stateOfSync(file: string): string {
  try {
    return stateText(statSync(file, { bigint: true }));
  } catch (error) {
    return faultText(error);
  }
}

function stateText({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}:${size}:${mtimeNs}`;
}

function faultText(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}

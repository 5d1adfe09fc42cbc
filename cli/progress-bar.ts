/**
 * Progress of something that takes time: a bar on a terminal, a line now and then elsewhere.
 * @module
 */

export interface ProgressBar {
  /** @param note - Short text beside the numbers. */
  show(done: number, total: number, note: string): void;
  /** Ends the bar's line. */
  end(): void;
}

export interface BarOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Time between two lines where there is no terminal. */
const LINE_MS = 5_000;

/** @param now - Milliseconds on any clock that is not set back. */
export function progressBar(output: BarOutput, now: () => number): ProgressBar {
  return output.isTTY === true ? bar(output) : lines(output, now);
}

const MAX_BAR = 30;

function bar(output: BarOutput): ProgressBar {
  let isShown = false;
  return {
    show(done, total, note) {
      const { columns = 80 } = output;
      const text = ` ${percent(done, total)} ${done} of ${total}${note === '' ? '' : `, ${note}`}`;
      const width = Math.max(0, Math.min(MAX_BAR, columns - text.length - 3));
      const filled = total === 0 ? 0 : Math.floor((Math.min(done, total) / total) * width);
      const drawn = width < 5 ? '' : `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`;
      // Carriage return, and "erase in line" of ECMA-48.
      output.write(`\r\x1b[K${`${drawn}${text}`.slice(0, columns - 1)}`);
      isShown = true;
    },
    end() {
      if (isShown) output.write('\n');
      isShown = false;
    },
  };
}

function lines(output: BarOutput, now: () => number): ProgressBar {
  let last = '';
  let lastAt = Number.NEGATIVE_INFINITY;
  let latest = '';
  const write = (): void => {
    if (latest === last) return;
    [last, lastAt] = [latest, now()];
    output.write(`${latest}\n`);
  };
  return {
    show(done, total, note) {
      latest = `${percent(done, total).trim()} ${done} of ${total}${note === '' ? '' : `, ${note}`}`;
      if (now() - lastAt >= LINE_MS) write();
    },
    end: write,
  };
}

function percent(done: number, total: number): string {
  return `${Math.floor(total === 0 ? 100 : (Math.min(done, total) / total) * 100)}%`.padStart(4);
}

/**
 * Simulated time: things happen one after the other, at times that they were
 * planned for, and each has all its consequences before the next one.
 * @module
 */

/** Start of the clock; a realistic date keeps headers plausible. */
const START = Date.UTC(2030, 0, 1);

interface Planned {
  readonly at: number;
  /** Tie-breaker: events of the same time happen in the order in which they were scheduled. */
  readonly order: number;
  readonly happen: () => void;
  cancelled: boolean;
}

export interface Timer {
  cancel(): void;
}

export class Clock {
  /** Milliseconds since the epoch. */
  now = START;
  /** Number of events so far: orders events of the same time. */
  steps = 0;
  readonly #planned: Planned[] = [];
  #order = 0;

  get elapsedMs(): number {
    return this.now - START;
  }

  /** @param at - Not before now. */
  plan(at: number, happen: () => void): Timer {
    const planned: Planned = { at: Math.max(at, this.now), order: this.#order++, happen, cancelled: false };
    this.#push(planned);
    return {
      cancel: () => {
        planned.cancelled = true;
      },
    };
  }

  after(ms: number, happen: () => void): Timer {
    return this.plan(this.now + ms, happen);
  }

  /** Lets everything happen that has begun or is planned until then, and what comes of it. */
  async runUntil(end: number): Promise<void> {
    await settled(); // before time passes: what was begun may plan something earlier than all that is planned
    for (;;) {
      const next = this.#planned[0];
      if (next === undefined || next.at > end) break;
      this.#pop();
      if (next.cancelled) continue;
      this.now = next.at;
      this.steps++;
      next.happen();
      await settled();
    }
    this.now = end;
  }

  #push(planned: Planned): void {
    const heap = this.#planned;
    let index = heap.push(planned) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(planned, heap[parent] as Planned)) break;
      heap[index] = heap[parent] as Planned;
      index = parent;
    }
    heap[index] = planned;
  }

  #pop(): void {
    const heap = this.#planned;
    const last = heap.pop() as Planned;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Planned, heap[child] as Planned)) child++;
      if (!isBefore(heap[child] as Planned, last)) break;
      heap[index] = heap[child] as Planned;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Resolves when no promise is left that could resolve by itself. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * Queue for connections: by priority, and among requests of one priority fair by visitor (http/upstream/fair-queue.ts).
 *
 * No priority waits for ever: of eight turns the first goes to background work, two to requests that are no
 * navigations, and the rest to navigations, as far as there are any. So requests that pretend to be navigations take
 * five of eight turns at most from others.
 * @module
 */
import { PRIORITIES, type Priority } from '../fields/priority.ts';
import { FairQueue, type Waiting } from './fair-queue.ts';

export interface Prioritised extends Waiting {
  readonly priority: Priority;
}

/** Priorities that are served first, turn by turn; the others follow in their order. */
const TURNS: readonly Priority[] = [
  'background',
  'navigation',
  'normal',
  'navigation',
  'navigation',
  'normal',
  'navigation',
  'navigation',
];

export class PriorityQueue<T extends Prioritised> {
  readonly #queues: Readonly<Record<Priority, FairQueue<T>>>;
  #turn = 0;

  /** @param heldBy - Connections that the visitor has. */
  constructor(heldBy: (visitor: string | undefined) => number) {
    this.#queues = {
      navigation: new FairQueue(heldBy),
      normal: new FairQueue(heldBy),
      background: new FairQueue(heldBy),
    };
  }

  get size(): number {
    const { navigation, normal, background } = this.#queues;
    return navigation.size + normal.size + background.size;
  }

  add(one: T): void {
    this.#queues[one.priority].add(one);
  }

  /** @returns Whether it waited. */
  delete(one: T): boolean {
    return this.#queues[one.priority].delete(one);
  }

  /**
   * Takes out the one whose turn it is.
   *
   * @param isAllowed - Whether a visitor may have one more connection for a request of this priority.
   */
  take(isAllowed: (visitor: string | undefined, priority: Priority) => boolean): T | undefined {
    const first = TURNS[this.#turn % TURNS.length] as Priority;
    const one = this.#takeOf(first, isAllowed) ?? this.#takeOther(first, isAllowed);
    if (one !== undefined) this.#turn++;
    return one;
  }

  #takeOther(first: Priority, isAllowed: (visitor: string | undefined, priority: Priority) => boolean): T | undefined {
    for (const priority of PRIORITIES) {
      const one = priority === first ? undefined : this.#takeOf(priority, isAllowed);
      if (one !== undefined) return one;
    }
    return undefined;
  }

  #takeOf(priority: Priority, isAllowed: (visitor: string | undefined, priority: Priority) => boolean): T | undefined {
    const queue = this.#queues[priority];
    return queue.size === 0 ? undefined : queue.take((visitor) => isAllowed(visitor, priority));
  }

  /** The first in the order of precedence, without taking it out. */
  first(): T | undefined {
    for (const priority of PRIORITIES) {
      const one = this.#queues[priority].first();
      if (one !== undefined) return one;
    }
    return undefined;
  }
}

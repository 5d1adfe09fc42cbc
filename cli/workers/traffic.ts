/**
 * Traffic of an edge of several threads: what they have reported is added up.
 * @module
 */
import { addTraffic, type Traffic } from '../../lib/traffic.ts';

/** Reports that wait to be taken; where there is no control node, nothing takes them. */
const MAX_WAITING = 256;

export class ThreadTraffic {
  #waiting: Traffic[] = [];

  add(traffic: Traffic): void {
    if (this.#waiting.length === MAX_WAITING) this.#waiting.shift();
    this.#waiting.push(traffic);
  }

  /** @returns Traffic of all threads since the last call. */
  take(): Traffic | undefined {
    const waiting = this.#waiting;
    this.#waiting = [];
    return addTraffic(waiting);
  }
}

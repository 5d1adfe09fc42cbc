/**
 * Tells the control nodes once a second how much traffic this node had: lines in the body of a call that stays open
 * for a while. What a control node does not take at the moment it never gets: numbers that are late are worth little.
 * @module
 */
import { PassThrough } from 'node:stream';
import type { Traffic } from '../lib/traffic.ts';
import type { JournalClient } from './client.ts';

export interface TrafficReporterOptions {
  /** One for each control node. */
  readonly clients: readonly Pick<JournalClient, 'traffic'>[];
  /** Returns the traffic since the last call. */
  readonly take: () => Traffic | undefined;
  /** Resolves after `ms`; resolves or rejects early when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

const REPORT_MS = 1_000;
/** Duration of a call; the control node gives up on one after 30 s. */
const CALL_MS = 20_000;
const ANSWER_MS = 5_000;
/** Before the next call after one that has failed: the control node may be older than these reports. */
const PAUSE_MS = 10_000;

/** Begins to report. */
export function startTrafficReporter({ clients, take, wait }: TrafficReporterOptions): { close(): Promise<void> } {
  const closing = new AbortController();
  const calls = clients.map((client) => new TrafficCalls(client, wait, closing.signal));
  const running = report();
  async function report(): Promise<void> {
    while (!closing.signal.aborted) {
      await wait(REPORT_MS, closing.signal).catch(() => undefined);
      const traffic = closing.signal.aborted ? undefined : take();
      if (traffic === undefined) continue;
      const line = `${JSON.stringify(traffic)}\n`;
      for (const call of calls) call.send(line);
    }
  }
  return {
    async close() {
      closing.abort();
      await running;
      await Promise.all(calls.map((call) => call.ended()));
    },
  };
}

/** Calls to one control node, one after the other. */
class TrafficCalls {
  readonly #client: Pick<JournalClient, 'traffic'>;
  readonly #wait: TrafficReporterOptions['wait'];
  readonly #signal: AbortSignal;
  #lines: PassThrough | undefined;
  /** True for a while after a call that has failed. */
  #isPaused = false;
  readonly #open = new Set<Promise<void>>();

  constructor(client: Pick<JournalClient, 'traffic'>, wait: TrafficReporterOptions['wait'], signal: AbortSignal) {
    this.#client = client;
    this.#wait = wait;
    this.#signal = signal;
  }

  send(line: string): void {
    if (this.#isPaused) return;
    this.#lines ??= this.#begin();
    if (!this.#lines.writableNeedDrain) this.#lines.write(line);
  }

  /** Resolves when no call is open. */
  async ended(): Promise<void> {
    await Promise.all(this.#open);
  }

  #begin(): PassThrough {
    const lines = new PassThrough();
    const call = this.#call(lines);
    this.#open.add(call);
    void call.then(() => this.#open.delete(call));
    return lines;
  }

  /** Never rejects. */
  async #call(lines: PassThrough): Promise<void> {
    lines.on('error', () => undefined); // the request fails as well, and says so
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, this.#signal]);
    const pause = (ms: number, until: AbortSignal): Promise<void> => this.#wait(ms, until).catch(() => undefined);
    const end = async (): Promise<void> => {
      await pause(CALL_MS, signal);
      if (this.#lines === lines) this.#lines = undefined;
      lines.end();
      await pause(ANSWER_MS, signal);
      ending.abort();
    };
    const ended = end();
    let hasFailed = false;
    try {
      await this.#client.traffic(lines, signal);
    } catch {
      hasFailed = true;
    }
    ending.abort();
    await ended;
    if (!hasFailed || this.#signal.aborted) return;
    this.#isPaused = true;
    await pause(PAUSE_MS, this.#signal);
    this.#isPaused = false;
  }
}

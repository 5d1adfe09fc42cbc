/**
 * Purges of a caller that will not retry: an origin that reports what has
 * become invalid. What the journal does not take is owed, and appended when it
 * can be.
 *
 * Without the journal a node asks the origin again once the purge lease is
 * over; what is owed keeps what is old from being taken for good afterwards.
 * @module
 */
import type { Purge } from '../journal/journal.ts';
import { Backoff } from '../lib/backoff.ts';
import type { Logger } from '../telemetry/log.ts';

/**
 * Selectors of more characters than this are owed as their whole site: more than what was said is purged then, never
 * less.
 */
const MAX_CHARS = 1024 * 1024;

/** Overhead of a selector besides its characters. */
const SELECTOR_CHARS = 200;

const WHOLE_SITE = 'site ';

const PAUSES = { firstMs: 250, maxMs: 10_000 };

export interface PurgeOutboxOptions {
  /** Rejects when some of them, or all, may not have been taken. */
  readonly append: (purges: readonly Purge[]) => Promise<unknown>;
  /** Resolves after `ms`; rejects when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: Pick<Logger, 'info' | 'error'>;
}

interface PurgesOfSite {
  /** By kind and selector. */
  readonly purges: Map<string, Purge>;
  chars: number;
}

export class PurgeOutbox {
  readonly #options: PurgeOutboxOptions;
  readonly #closing = new AbortController();
  readonly #pending = new Map<string, PurgesOfSite>();
  #appending: Promise<void> | undefined;
  /** Ends the pause before the next attempt. */
  #pausing = new AbortController();

  constructor(options: PurgeOutboxOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  add(purges: readonly Purge[]): void {
    for (const purge of purges) {
      const ofSite = this.#pending.get(purge.site) ?? { purges: new Map<string, Purge>(), chars: 0 };
      this.#pending.set(purge.site, ofSite);
      ofSite.chars += purge.selector.length + SELECTOR_CHARS;
      if (ofSite.chars <= MAX_CHARS) ofSite.purges.set(`${purge.kind} ${purge.selector}`, purge);
      else {
        ofSite.purges.clear();
        ofSite.purges.set(WHOLE_SITE, { ...purge, kind: 'site', selector: '' });
      }
    }
    this.#appending ??= this.#appendAll();
  }

  /** The journal is within reach again. */
  flush(): void {
    this.#pausing.abort();
  }

  /** Tries once more, and says what is lost. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#appending;
    if (this.isEmpty || (await this.#append())) return;
    this.#options.log.error(
      { sites: [...this.#pending.keys()] },
      'invalidations by origins are lost: purge these sites',
    );
  }

  /** Never rejects. */
  async #appendAll(): Promise<void> {
    const { wait, log } = this.#options;
    const closing = this.#closing.signal;
    for (const backoff = new Backoff(PAUSES); ; ) {
      this.#pausing = new AbortController();
      await wait(backoff.next(), AbortSignal.any([closing, this.#pausing.signal])).catch(() => undefined);
      if (closing.aborted) return;
      if (!(await this.#append())) continue;
      if (!this.isEmpty) continue; // came meanwhile
      this.#appending = undefined; // at once: what comes from now on begins anew
      log.info('pending invalidations by origins are in the journal');
      return;
    }
  }

  /** @returns Whether all that was owed when it began is in the journal. */
  async #append(): Promise<boolean> {
    const batch = [...this.#pending.values()].flatMap((ofSite) => [...ofSite.purges.values()]);
    try {
      await this.#options.append(batch);
    } catch {
      return false;
    }
    const appended = new Set(batch); // what was said again meanwhile is another purge
    for (const [site, ofSite] of this.#pending) {
      for (const [key, purge] of ofSite.purges) if (appended.has(purge)) ofSite.purges.delete(key);
      if (ofSite.purges.size === 0) this.#pending.delete(site);
    }
    return true;
  }
}

/**
 * Pages that are open: once a second each gets its data anew, as server-sent events. What several of them show is made
 * once.
 * @module
 */
import type { ServerResponse } from 'node:http';
import type { Caller } from '../purge-api.ts';
import type { AnyModel, Filter, PageName } from './model.ts';

export interface LivePage {
  readonly page: PageName;
  readonly filter: Filter;
  /** Session that it is open in. */
  readonly session: string;
  /** Returns the caller, if the session and its token are still good. */
  readonly recognise: () => Promise<Caller | undefined>;
}

export interface LiveOptions {
  readonly model: (page: PageName, caller: Caller, filter: Filter) => Promise<AnyModel>;
  /** Returns a text that is the same for callers who may see the same. */
  readonly viewOf: (caller: Caller) => string;
  readonly problem: (error: unknown) => void;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 1_000;
/** Ticks between two looks at whether a token is still good. */
const CHECK_EACH = 5;
const MAX_PAGES = 100;
const MAX_OF_SESSION = 8;
/** One that reads so slowly is cut off; it connects anew. */
const MAX_UNREAD_BYTES = 2 * 2 ** 20;

interface Open extends LivePage {
  readonly response: ServerResponse;
  caller: Caller;
}

export class LivePages {
  readonly #options: LiveOptions;
  readonly #open = new Set<Open>();
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  #isBusy = false;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Returns whether there is room for one more page of the session. */
  hasRoom(session: string): boolean {
    const own = [...this.#open].filter((one) => one.session === session).length;
    return this.#open.size < MAX_PAGES && own < MAX_OF_SESSION;
  }

  get size(): number {
    return this.#open.size;
  }

  add(page: LivePage, caller: Caller, response: ServerResponse): void {
    const open: Open = { ...page, caller, response };
    response.on('error', () => response.destroy()); // and 'close' follows
    response.once('close', () => {
      this.#open.delete(open);
      if (this.#open.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
    this.#open.add(open);
    this.#timer ??= setInterval(() => void this.#tick(), this.#options.intervalMs ?? INTERVAL_MS).unref();
    void this.#send([open]);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { response } of this.#open) response.end();
  }

  async #tick(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      if (++this.#ticks % CHECK_EACH === 0) await this.#check();
      await this.#send([...this.#open]);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Ends the pages whose session or token has ended. */
  async #check(): Promise<void> {
    await Promise.all(
      [...this.#open].map(async (open) => {
        try {
          const caller = await open.recognise();
          if (caller === undefined) open.response.end('event: end\ndata: \n\n');
          else open.caller = caller;
        } catch (error) {
          this.#options.problem(error); // the store is away: the next check decides
        }
      }),
    );
  }

  async #send(pages: readonly Open[]): Promise<void> {
    const { model, viewOf } = this.#options;
    const alike = Map.groupBy(pages, ({ page, filter, caller }) => JSON.stringify([page, filter, viewOf(caller)]));
    for (const group of alike.values()) {
      const [{ page, filter, caller }] = group as [Open];
      try {
        const event = `data: ${JSON.stringify(await model(page, caller, filter))}\n\n`;
        for (const { response } of group) {
          if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
          else if (!response.writableEnded) response.write(event);
        }
      } catch (error) {
        this.#options.problem(error);
      }
    }
  }
}

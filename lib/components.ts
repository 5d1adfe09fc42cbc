/**
 * Components of a node: parts that start, follow a new config and close.
 *
 * A node starts its components one after another, then opens its listeners. If one of them fails, those before it are
 * closed again, in reverse order. A listener can be opened only with a `Started`, and only `Components.listen` has one:
 * from then on no component can be started, so nothing listens before everything that a request needs runs.
 * @module
 */
import { setImmediate } from 'node:timers/promises';

/** Part of a node with a lifetime. */
export interface Component<Config> {
  /** Uses the new config from now on. */
  update?(config: Config): void;
  /** Releases what it holds; requests have finished by then. */
  close?(): void | Promise<void>;
}

/** The same for a part whose own methods are other ones. */
export interface Lifetime<Part, Config> {
  readonly update?: (part: Part, config: Config) => void;
  /** Takes nothing new, before the listeners are closed. */
  readonly drain?: (part: Part) => void;
  readonly close?: (part: Part) => void | Promise<void>;
}

type Updatable = { update(...args: never[]): unknown } | { reload(...args: never[]): unknown };
type Closable = { close(...args: never[]): unknown };

/** A part that can be updated or closed says how, if not by the methods of `Component`. */
type LifetimeOf<Part, Config> = Lifetime<Part, Config> &
  (Part extends Updatable ? { readonly update: (part: Part, config: Config) => void } : unknown) &
  (Part extends Closable ? { readonly close: (part: Part) => void | Promise<void> } : unknown);

type Given<Part, Config> =
  Part extends Component<Config> ? [lifetime?: Lifetime<Part, Config>] : [lifetime: LifetimeOf<Part, Config>];

/** The config that a node goes by now. */
export class CurrentConfig<Config> implements Component<Config> {
  value: Config;

  constructor(config: Config) {
    this.value = config;
  }

  update(config: Config): void {
    this.value = config;
  }
}

declare const STARTED: unique symbol;

/** Evidence that all components of a node have started. */
export interface Started {
  readonly [STARTED]: true;
}

/** Functions that open the listeners of a group; `undefined` leaves one out. */
export type Openings<Listener> = Readonly<Record<string, ((started: Started) => Promise<Listener>) | undefined>>;

type Opened<O extends Openings<unknown>> = {
  readonly [Name in keyof O]: O[Name] extends (started: Started) => Promise<infer Listener>
    ? Listener
    : O[Name] extends ((started: Started) => Promise<infer Listener>) | undefined
      ? Listener | undefined
      : never;
};

/** Callbacks for each step, with the name of the component; for tests, which make one fail. */
export interface ComponentEvents {
  readonly starting?: ((name: string) => void) | undefined;
  readonly updated?: ((name: string) => void) | undefined;
  readonly closed?: ((name: string) => void) | undefined;
}

interface Running<Config> {
  readonly name: string;
  readonly update: ((config: Config) => void) | undefined;
  readonly drain: (() => void) | undefined;
  readonly close: (() => void | Promise<void>) | undefined;
}

export class Components<Config> {
  readonly #events: ComponentEvents;
  /** In the order of their start; what stands in one group is closed at the same time. */
  readonly #groups: Running<Config>[][] = [];
  #isListening = false;
  #closed: Promise<void> | undefined;

  constructor(events: ComponentEvents = {}) {
    this.#events = events;
  }

  /**
   * Starts a component; what it needs has started before.
   *
   * @throws What `open` throws; all components before it are closed by then.
   */
  async start<Part>(name: string, open: () => Part | Promise<Part>, ...[lifetime]: Given<Part, Config>): Promise<Part> {
    if (this.#isListening) throw new TypeError(`${name} starts after listeners were opened`);
    try {
      this.#events.starting?.(name);
      const part = await open();
      this.#groups.push([running(name, part, lifetime)]);
      return part;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Opens a group of listeners, in order. They are drained together, before those of earlier groups.
   *
   * @throws What one of them throws; everything is closed by then.
   */
  async listen<Listener extends Closable, const O extends Openings<Listener>>(
    openings: O,
    lifetime: LifetimeOf<Listener, Config>,
  ): Promise<Opened<O>> {
    this.#isListening = true;
    const group: Running<Config>[] = [];
    this.#groups.push(group);
    const opened: Record<string, Listener | undefined> = {};
    try {
      for (const [name, open] of Object.entries(openings)) {
        if (open === undefined) continue;
        this.#events.starting?.(name);
        const listener = (await open({} as Started)) as Listener;
        group.push(running(name, listener, lifetime));
        opened[name] = listener;
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    return opened as Opened<O>;
  }

  /** Passes the new config to every component, in the order of their start. */
  update(config: Config): void {
    for (const { name, update } of this.#groups.flat()) {
      update?.(config);
      this.#events.updated?.(name);
    }
  }

  /** Takes nothing new, finishes what is in flight, closes all components in reverse order; once, for all callers. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const groups = this.#groups.toReversed();
    for (const { drain } of groups.flat()) drain?.();
    await setImmediate(); // connections that a drain has handed over are read by then, and not taken for idle
    const errors: unknown[] = [];
    for (const group of groups) {
      const closed = await Promise.allSettled(
        group.map(async ({ name, close }) => {
          await close?.();
          this.#events.closed?.(name);
        }),
      );
      for (const result of closed) if (result.status === 'rejected') errors.push(result.reason);
    }
    if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors);
  }
}

function running<Part, Config>(
  name: string,
  part: Part,
  lifetime: Lifetime<Part, Config> | undefined,
): Running<Config> {
  const own = part as Component<Config> | undefined;
  const { update, drain, close } = lifetime ?? {};
  return {
    name,
    update: update ? (config) => update(part, config) : lifetime ? undefined : own?.update?.bind(own),
    drain: drain && (() => drain(part)),
    close: close ? () => close(part) : lifetime ? undefined : own?.close?.bind(own),
  };
}

/**
 * Regions that operators have drained through the API; they stay drained when control nodes restart.
 * @module
 */

export interface Drain {
  /** Name and id of the token. */
  readonly by: string;
  /** ISO 8601. */
  readonly since: string;
  readonly reason: string;
}

export interface Drains {
  /** By the name of the region, as known here: what another control node has written may come a second later. */
  readonly all: ReadonlyMap<string, Drain>;
  /**
   * Durable when it resolves.
   *
   * @param drain - `undefined`: it is drained no more.
   * @returns Whether anything has changed.
   * @throws What writing fails with.
   */
  set(region: string, drain: Drain | undefined): Promise<boolean>;
}

/** @returns The drain that a store has written, whatever another program has made of it. */
export function drainOf({ by, since, reason }: Partial<Record<keyof Drain, unknown>>): Drain {
  return { by: textOf(by), since: textOf(since), reason: textOf(reason) };
}

/** @returns A stored text; empty where another program has written none. */
function textOf(stored: unknown): string {
  return typeof stored === 'string' ? stored : '';
}

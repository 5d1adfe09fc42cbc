/**
 * A game of visitors and an attacker against a documented site. Every answer
 * is judged: by the oracle, and by what its origin has been sent.
 * @module
 */
import type { RegionConfig, SiteConfig } from '../../config/schema.ts';
import type { Got } from './clients.ts';
import { type Asked, Oracle } from './oracle.ts';
import { idsIn, MADE_FIELD, type Made, type Shape } from './origin.ts';
import { type Gadget, gadgetsOf, type Person, POISON, pathsOf, peopleOf } from './people.ts';
import { type Stage, startStage } from './stage.ts';

export interface AskOptions {
  readonly person: Person;
  readonly target: string;
  /** Response of the origin, if it gets the request. */
  readonly shape: Shape;
  readonly gadgets?: readonly Gadget[];
  /** Edge that gets the request. */
  readonly edge?: number;
  /** Names what is tried, for the report. */
  readonly what?: string;
}

/** An answer that reached a request which it was not for. */
export interface Leak {
  readonly why: string;
  readonly what: string;
  readonly shape: string;
  readonly madeFor: string;
  readonly givenTo: string;
  readonly target: string;
  readonly status: string;
}

/** Error codes of a connection that is closed without an answer; EPROTO: TLS does not know the name. */
const CLOSED = new Set(['ECONNRESET', 'EPIPE', 'EPROTO']);

export class Game {
  readonly site: SiteConfig;
  readonly people: readonly Person[];
  readonly gadgets: readonly Gadget[];
  readonly leaks: Leak[] = [];
  /** Answers that reached a request for which they were not made, rightly. */
  shared = 0;
  /** Requests that were answered by the origin’s answers. */
  answered = 0;
  readonly #oracle: Oracle;
  readonly #asks: { readonly asked: Asked; readonly shape: Shape; readonly what: string }[] = [];
  readonly #confirmed = new Set<number>();
  /** Number of requests that had been sent when an answer first reached a visitor. */
  readonly #firstGiven = new Map<number, number>();
  #stage: Stage | undefined;
  #seen = 0;
  #games = 0;

  constructor(site: SiteConfig) {
    this.site = site;
    this.people = peopleOf(site);
    this.gadgets = gadgetsOf(site);
    this.#oracle = new Oracle(site);
  }

  static async start(region: RegionConfig, site: SiteConfig): Promise<Game> {
    const game = new Game(site);
    if (game.#scheme === 'https' && region.edges.some((edge) => edge.listen_tls === undefined)) {
      throw new Error(`site ${site.name} sends visitors to https, and an edge has no listen_tls`);
    }
    game.#stage = await startStage(region, {
      shapeFor: (ask) => {
        const known = game.#asks[ask];
        if (known === undefined) throw new Error('the origin was asked without the number of a request');
        return known.shape;
      },
      areSame: (ask, other) => game.#areSame(ask, other),
    });
    return game;
  }

  get stage(): Stage {
    if (this.#stage === undefined) throw new Error('the game has not been started');
    return this.#stage;
  }

  close(): Promise<void> {
    return this.stage.close();
  }

  person(name: string): Person {
    const found = this.people.find((one) => one.name === name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  /** @returns Paths that have not been asked for yet, one for each pattern of a rule and two more. */
  freshPaths(): readonly string[] {
    return pathsOf(this.site, `g${this.#games++}`);
  }

  /** One of the extensions that rules go by; attackers add it to what is not static. */
  extension(index: number): string {
    const patterns = this.site.rules.flatMap(({ path }) => (path === undefined ? [] : [path].flat()));
    const known = [...new Set(patterns.flatMap((pattern) => /\.\w+$/.exec(pattern)?.[0] ?? []))];
    return known[index % known.length] ?? '.css';
  }

  /** Returns whether a rule forbids storing responses for the path, in any spelling. */
  isForbidden(target: string): boolean {
    return this.#oracle.isForbidden(this.#asked({ person: this.person('bob'), target, gadgets: [] }, -1));
  }

  advance(ms: number): void {
    this.stage.clock.now += ms;
  }

  /** Asks, and judges what comes. */
  async ask({ person, target, shape, gadgets = [], edge = 0, what = '' }: AskOptions): Promise<void> {
    const ask = this.#asks.length;
    const asked = this.#asked({ person, target, gadgets }, ask);
    this.#asks.push({ asked, shape, what: [what, ...gadgets.map(({ name }) => name)].filter(Boolean).join(', ') });
    const got = await this.stage.send(asked, edge).catch((error: NodeJS.ErrnoException) => {
      if (CLOSED.has(error.code ?? '')) return undefined; // no answer is nobody’s answer
      throw error;
    });
    this.#readOrigin();
    if (got !== undefined) this.#judge(asked, got);
  }

  #asked({ person, target, gadgets = [] }: Pick<AskOptions, 'person' | 'target' | 'gadgets'>, ask: number): Asked {
    const { redirect, hosts } = this.site;
    const usual =
      redirect.host ?? (hosts[0] as string).replace(/^\*\.?/, (star) => (star === '*' ? 'any.test' : 'www.'));
    const host = gadgets.reduce((one, gadget) => gadget.host?.(one) ?? one, usual);
    return {
      ask,
      visitor: person.name,
      method: gadgets.find(({ method }) => method !== undefined)?.method ?? 'GET',
      scheme: this.#scheme,
      host,
      target: gadgets.reduce((one, gadget) => gadget.target?.(one, host) ?? one, target),
      fields: [...person.fields, ...gadgets.flatMap(({ fields }) => fields ?? [])],
      address: person.address,
      country: person.country,
    };
  }

  get #scheme(): 'http' | 'https' {
    return this.site.redirect.https ? 'https' : 'http';
  }

  #areSame(ask: number, other: number): boolean {
    const of = (number: number): string => {
      const { ask: _, ...rest } = this.#asks[number]?.asked as Asked;
      return JSON.stringify(rest);
    };
    return of(ask) === of(other);
  }

  /** Reads the requests that the origin got since the last call. */
  #readOrigin(): void {
    const { made } = this.stage.origin;
    for (; this.#seen < made.length; this.#seen++) {
      const one = made[this.#seen] as Made;
      if (one.status === 304) this.#confirmed.add(one.ask);
      if (one.request.rawHeaders.some((text) => text.includes(POISON))) {
        const { asked } = this.#asks[one.ask] as { asked: Asked };
        this.#leak(one, asked, asked, 'the origin was sent what no visitor may say');
      }
    }
  }

  #judge(asked: Asked, got: Got): void {
    const inField = [got.headers[MADE_FIELD] ?? []].flat().map(Number);
    const ids = new Set([...idsIn(got.body), ...inField]);
    if (ids.size > 0) this.answered++;
    for (const id of ids) {
      const made = this.stage.origin.made[id] as Made;
      const madeFor = this.#asks[made.ask]?.asked as Asked;
      const first = this.#firstGiven.get(id) ?? this.#asks.length;
      this.#firstGiven.set(id, first);
      if (madeFor.ask === asked.ask) continue;
      const isConfirmed = this.#confirmed.has(asked.ask);
      const why = this.#oracle.objection(asked, { made, madeFor, isConfirmed, hasWaited: asked.ask < first });
      if (why === undefined) this.shared++;
      else this.#leak(made, madeFor, asked, why);
    }
  }

  #leak(made: Made, madeFor: Asked, asked: Asked, why: string): void {
    this.leaks.push({
      why,
      what: [...new Set([this.#asks[madeFor.ask]?.what, this.#asks[asked.ask]?.what].filter(Boolean))].join(' → '),
      shape: made.shape.name,
      madeFor: madeFor.visitor,
      givenTo: asked.visitor,
      target: asked.target.replace(/g\d+/, 'g'),
      status: String(made.status),
    });
  }
}

/** @returns One line for each kind of leak, with how often it was seen. */
export function summary(leaks: readonly Leak[]): string[] {
  const kinds = Map.groupBy(leaks, ({ why, what, shape, target }) => `${why}: ${target} [${what}] “${shape}”`);
  return [...kinds].map(([kind, seen]) => {
    const ways = [...new Set(seen.map(({ madeFor, givenTo }) => `${madeFor} → ${givenTo}`))];
    return `${kind}, ${ways.slice(0, 4).join(', ')}${ways.length > 4 ? ', …' : ''}`;
  });
}

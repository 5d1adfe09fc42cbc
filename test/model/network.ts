/**
 * The network between the places of the model: who is cut off from whom, and
 * what becomes of each message.
 * @module
 */
import { HttpError, type HttpErrorCode } from '../../http/errors.ts';
import type { Flow, ResponseHead, ResponseSink } from '../../http/message.ts';
import { UpstreamError } from '../../http/upstream/errors.ts';
import type { Clock, Timer } from './clock.ts';

/** Longest time that a message takes which is not held up by a cut. */
export const MAX_DELAY_MS = 800;

const DELAYS_MS = [1, 3, 10, 30, 100, 250, 500, MAX_DELAY_MS];

/** Time limit of a request; long enough for two tiers that wait for a third. */
const PATIENCE_MS = 5_000;

/** Endpoint on the network: a process, or a stand-in for one. */
export interface Place {
  readonly name: string;
  /** Another number after each start; undefined while it is down. */
  readonly life: number | undefined;
  /** Stands still until then. */
  readonly frozenUntil: number;
  /** Exchanges that end with the process. */
  readonly exchanges: Set<Exchange>;
}

interface Fate {
  readonly delayMs: number;
  readonly fate: 'arrives' | 'lost' | 'twice';
}

export class Network {
  readonly clock: Clock;
  readonly #noise: readonly number[];
  #next = 0;
  readonly #cuts = new Map<string, number>();
  /** True once no message is lost or late any more. */
  isUndisturbed = false;
  messages = 0;

  constructor(clock: Clock, noise: readonly number[]) {
    this.clock = clock;
    this.#noise = noise;
  }

  /** Draws the fate of the next message. */
  draw(): Fate {
    this.messages++;
    const number = this.#draw();
    const kind = number >> 3;
    return {
      delayMs: DELAYS_MS[number & 7] as number,
      fate: kind === 14 ? 'lost' : kind === 15 ? 'twice' : 'arrives',
    };
  }

  /** From 0 to below 1. */
  random(): number {
    return this.#draw() / 128;
  }

  #draw(): number {
    if (this.isUndisturbed || this.#noise.length === 0) return 0;
    return this.#noise[this.#next++ % this.#noise.length] as number;
  }

  cut(a: string, b: string, ms: number): void {
    const until = this.clock.now + ms;
    for (const link of [`${a} ${b}`, `${b} ${a}`]) {
      this.#cuts.set(link, Math.max(this.#cuts.get(link) ?? 0, until));
    }
  }

  heal(): void {
    this.isUndisturbed = true;
    this.#cuts.clear();
  }

  /** @returns When the link works again; a time in the past where it does. */
  cutUntil(a: string, b: string): number {
    return this.#cuts.size === 0 ? 0 : (this.#cuts.get(`${a} ${b}`) ?? 0);
  }

  isCut(a: string, b: string): boolean {
    return this.cutUntil(a, b) > this.clock.now;
  }

  /** Lets something happen in the process that runs now; never when it has ended, later when it stands still. */
  at(place: Place, when: number, happen: () => void): Timer {
    const { life } = place;
    const planned: { timer: Timer } = { timer: this.clock.plan(when, attempt) };
    const { clock } = this;
    function attempt(): void {
      if (life === undefined || place.life !== life) return;
      if (place.frozenUntil > clock.now) planned.timer = clock.plan(place.frozenUntil, attempt);
      else happen();
    }
    return { cancel: () => planned.timer.cancel() };
  }
}

/** Saves making an error for each that nobody reads. */
const CLIENT_CLOSED = new HttpError('client_closed');

/** Reply path of a message, and whether its requester still waits. */
export interface Reply {
  onHead(head: ResponseHead): void;
  /** The rest of the body, and its end. */
  onEnd(rest?: Buffer): void;
  onData(chunk: Buffer): void;
  onError(code: HttpErrorCode): void;
  readonly clientAbort: AbortSignal;
}

/** One request from one place to another, and its answer: a connection of HTTP/1.1. */
export class Exchange implements Flow {
  readonly #network: Network;
  readonly #from: Place;
  readonly #to: Place;
  readonly #sink: ResponseSink;
  readonly #patience: Timer;
  readonly #clientAbort = new AbortController();
  /** Arrival time of the last message: a later one arrives no earlier. */
  #lastAt = 0;
  #over = false;

  constructor(network: Network, from: Place, to: Place, deliver: (reply: Reply) => void, sink: ResponseSink) {
    this.#network = network;
    this.#from = from;
    this.#to = to;
    this.#sink = sink;
    const { clock } = network;
    this.#patience = network.at(from, clock.now + PATIENCE_MS, () => this.#fail('origin_timeout'));
    from.exchanges.add(this);
    const { delayMs, fate } = network.draw();
    if (to.life === undefined) {
      network.at(from, clock.now + delayMs, () => this.#fail('origin_unreachable'));
      return;
    }
    to.exchanges.add(this);
    if (fate === 'lost') return;
    const copies = fate === 'twice' ? [this.#reply(), noReply()] : [this.#reply()];
    for (const [index, reply] of copies.entries()) {
      network.at(to, clock.now + delayMs * (index + 1), () => {
        if (!network.isCut(from.name, to.name)) deliver(reply);
      });
    }
  }

  pause(): void {
    // bodies here are small: nobody is held back
  }

  resume(): void {
    // as above
  }

  abort(): void {
    if (this.#over) return;
    this.#end();
    this.#network.at(this.#to, this.#network.clock.now + 1, () => this.#clientAbort.abort(CLIENT_CLOSED));
  }

  /** The process at one of its ends has ended. */
  breakOff(end: Place): void {
    if (end === this.#from) this.abort();
    else this.#network.at(this.#from, this.#network.clock.now + 1, () => this.#fail('origin_unreachable'));
  }

  #reply(): Reply {
    return {
      onHead: (head) => this.#send(() => this.#sink.onHead(head)),
      onData: (chunk) => this.#send(() => this.#sink.onData(chunk)),
      onEnd: (rest) =>
        this.#send(() => {
          this.#end();
          if (rest !== undefined) this.#sink.onData(rest);
          this.#sink.onEnd([]);
        }),
      onError: (code) => this.#send(() => this.#fail(code)),
      clientAbort: this.#clientAbort.signal,
    };
  }

  #send(arrive: () => void): void {
    if (this.#over) return;
    const { clock } = this.#network;
    const { delayMs, fate } = this.#network.draw();
    this.#lastAt = Math.max(this.#lastAt, clock.now + delayMs);
    const happen = fate === 'lost' ? () => this.#fail('origin_unreachable') : arrive;
    this.#network.at(this.#from, this.#lastAt, () => {
      if (this.#over || this.#network.isCut(this.#from.name, this.#to.name)) return; // patience ends it
      happen();
    });
  }

  #fail(code: HttpErrorCode): void {
    if (this.#over) return;
    this.#end();
    this.#network.at(this.#to, this.#network.clock.now + 1, () => this.#clientAbort.abort(CLIENT_CLOSED));
    const sent = code === 'origin_unreachable' ? 'no' : 'maybe';
    this.#sink.onError(new UpstreamError(code, { source: 'target', sent }));
  }

  #end(): void {
    this.#over = true;
    this.#patience.cancel();
    this.#from.exchanges.delete(this);
    this.#to.exchanges.delete(this);
  }
}

/** Reply path of a duplicate message: replies are dropped. */
function noReply(): Reply {
  const nothing = (): void => undefined;
  return {
    onHead: nothing,
    onData: nothing,
    onEnd: nothing,
    onError: nothing,
    clientAbort: new AbortController().signal,
  };
}

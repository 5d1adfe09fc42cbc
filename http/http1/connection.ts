/**
 * One connection of a front: its requests, and their answers in the order of the requests and at the reader's pace.
 *
 * GET and HEAD that came at once are answered side by side, within a bound: each answer but the first waits for its
 * turn. Other requests wait for those before them, and those behind wait for them (RFC 9112, section 9.3.2).
 * @module
 */
import type { Socket } from 'node:net';
import { LONG_AGO, monotonicNow } from '../../lib/clock.ts';
import { writeAtPace } from '../body/paced-writing.ts';
import { HttpError } from '../errors.ts';
import { isEncrypted } from '../listener/encrypted.ts';
import { closeWhenSilent, mayBeHalfOpen } from '../listener/half-open.ts';
import { linger } from '../listener/linger.ts';
import type { ConnectionHandoff } from '../listener/listener.ts';
import { turns } from '../listener/turns.ts';
import type { BodyReader } from '../message.ts';
import { isSafe } from '../methods.ts';
import { MAX_AT_ONCE } from '../node-http/pipelines.ts';
import { writeDirectly } from '../node-internals/direct-writes.ts';
import { restoreTimer } from '../node-internals/read-timers.ts';
import { shareReads } from '../node-internals/shared-reads.ts';
import type { Memory } from '../prepared-delivery.ts';
import { type ExchangeConnection, Http1Exchange } from './exchange.ts';
import type { Recogniser, Section } from './recogniser.ts';
import type { Http1Server } from './server.ts';
import { UnreadText } from './unread-text.ts';

/** Made once: a stack trace costs more than to find out that a head is too large. */
const TOO_LARGE = new HttpError('header_too_large');

/** Event that a connection waits for. */
export type Waiting = 'first-request' | 'rest-of-head' | 'request' | 'answer' | 'reader';

export class Http1Connection implements ExchangeConnection {
  readonly socket: Socket;
  readonly #server: Http1Server;
  readonly #handoff: ConnectionHandoff;
  waitsFor: Waiting = 'first-request';
  /** Since when. */
  since = monotonicNow();
  /** Arrival time of the current request. */
  startedAt = LONG_AGO;
  memory: Memory | undefined;
  readonly #unread: UnreadText;
  /** Requests that have been claimed, in their order, until their answers are written. */
  readonly #claimed: Http1Exchange[] = [];
  /** True if what has come has to wait for the requests that are claimed. */
  #isBehind = false;
  /** True while requests that came at once are taken. */
  #isReading = false;
  /** True if what has come is read in a later turn. */
  #isPutOff = false;
  /** True if the other side sends no more. */
  #hasEnded = false;
  #isClosed = false;

  /** @param unread - As of `Http1Server.accept`. */
  constructor(front: Http1Server, socket: Socket, wire: ConnectionHandoff, unread: Buffer | undefined) {
    this.#server = front;
    this.#handoff = wire;
    this.socket = socket;
    this.#unread = new UnreadText(front.options.limits);
    shareReads(socket, (bytes, length) => {
      if (this.#isClosed) return socket.push(Buffer.from(bytes.subarray(0, length)));
      if (this.#takeRepeat(bytes, length)) return true;
      if (this.#isBeginning && this.#unread.isHeadTooLarge(bytes, length)) this.reject(TOO_LARGE);
      else this.#take(bytes.toString('latin1', 0, length));
      return true;
    });
    socket.on('data', this.#onData); // what was read before, and all of it where reads are not shared
    this.socket.on('error', ignore);
    this.socket.on('end', this.#onEnd);
    this.socket.on('close', this.#onClose);
    if (unread === undefined) return;
    this.waitsFor = 'request';
    this.#hasEnded = socket.readableEnded;
    this.#unread.text = unread.toString('latin1');
    if (this.#unread.text !== '') this.#goOnLater();
    else if (this.#hasEnded) socket.end();
  }

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  get isTls(): boolean {
    return isEncrypted(this.socket);
  }

  get keepAliveSeconds(): number {
    return Math.floor(this.#server.options.limits().keep_alive_timeout / 1_000);
  }

  get isLast(): boolean {
    return this.#server.closing;
  }

  get isFlushed(): boolean {
    return this.waitsFor !== 'reader' && this.socket.writableLength === 0;
  }

  claim(exchange: Http1Exchange): boolean {
    this.waitsFor = 'answer';
    return this.#claimed.push(exchange) === 1;
  }

  /** Writes an answer of one piece. @returns Whether its bytes are still read, and must not change. */
  send(answer: Buffer): boolean {
    const { socket } = this;
    const directly = writeDirectly(socket, answer, this.#onSent);
    if (directly === 'written') return false;
    if (directly === 'pending') {
      this.waitsFor = 'reader';
      this.since = monotonicNow();
      return true;
    }
    // A TLS handle encrypts what it is given at once, or copies it.
    const isTaken = this.isTls && socket.writableLength === 0 && socket.writableCorked === 0;
    if (!socket.write(answer) && socket.writableLength > 0) this.#waitForReader(() => this.#goOn());
    return !isTaken && socket.writableLength > 0;
  }

  /**
   * Writes an answer whose body is not in one piece.
   *
   * @param onDone - Told of the bytes of the body that were written, when all are or the connection has broken.
   */
  stream(head: Buffer, body: BodyReader, onDone: (bytes: number) => void): void {
    this.waitsFor = 'answer';
    writeAtPace(this.socket, {
      head,
      body,
      waitForReader: (then) => this.#waitForReader(then),
      onDone,
      onWritten: () => {
        if (this.socket.writableNeedDrain) this.#waitForReader(() => this.#goOn());
        else this.#goOn();
      },
    });
  }

  onWritten(isLast: boolean): void {
    this.#claimed.shift();
    if (isLast) this.#close();
    // Over TLS bytes are on their way for a while though there is room: no `drain` would follow.
    else if (this.socket.writableNeedDrain) this.#waitForReader(() => this.#goOn());
    else this.#goOn();
  }

  /** No more requests are answered here. */
  shutdown(): void {
    if (this.waitsFor === 'request' || this.waitsFor === 'first-request') this.socket.destroy();
    else if (this.waitsFor === 'rest-of-head') this.#handOff();
  }

  reject(error: HttpError): void {
    this.#detach();
    this.#handoff.reject(this.socket, error);
  }

  /** An idle connection holds no more than it needs. */
  forgetLast(): void {
    this.#unread.last = undefined;
  }

  readonly #onSent = (): void => {
    this.waitsFor = 'answer';
    this.#goOn();
  };

  readonly #onData = (chunk: Buffer): void => this.#take(chunk.toString('latin1'));

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    if (this.#isBusy) {
      const mayWait = this.#server.options.allowHalfOpen === true && mayBeHalfOpen(this.socket);
      if (mayWait) closeWhenSilent(this.socket, () => this.#isBusy);
      // As `node:http` sees it: a client that sends no more has gone.
      else if (this.#claimed.length > 0) this.socket.end();
    } else if (this.waitsFor === 'rest-of-head') this.reject(new HttpError('bad_request', 'the head breaks off'));
    else this.socket.end();
  };

  readonly #onClose = (): void => {
    this.#server.forget(this);
    for (const exchange of this.#claimed) exchange.closed();
  };

  #take(text: string): void {
    const unread = this.#unread;
    if (this.#isBusy) {
      unread.addBehind(text);
      this.socket.pause();
      this.#isBehind = false;
      if (this.#mayReadBehind) this.#goOnLater();
      return;
    }
    this.startedAt = monotonicNow();
    if (!unread.isInHead) this.since = this.startedAt; // the time for a head counts from its first byte
    if (unread.add(text)) this.#read();
  }

  /**
   * @returns Whether it is one request with the header section of the last one, and nothing else: what visitors send
   * mostly.
   */
  #takeRepeat(bytes: Buffer, length: number): boolean {
    const { recogniser, last, text } = this.#unread;
    const isIdle = this.waitsFor === 'request' && text === '' && !this.#server.closing;
    if (!isIdle || recogniser === undefined || recogniser !== this.#server.options.recogniser()) return false;
    if (last === undefined || !recogniser.recogniseRepeat(bytes, length, last)) return false;
    this.startedAt = monotonicNow();
    if (!this.#answer(recogniser)) this.#leave(bytes.toString('latin1', 0, length));
    return true;
  }

  /** Answers what has come. */
  #read(): void {
    const unread = this.#unread;
    const { text } = unread;
    this.#isBehind = false;
    const recogniser = this.#server.options.recogniser();
    unread.readWith(recogniser);
    if (this.#server.closing) this.#leave(text);
    else if (this.#claimed.length > 0 || unread.isInGroup) this.#readMany(text, recogniser, unread.last);
    else if (!recogniser.recognise(text, 0, unread.last)) this.#waitForMore();
    else if (recogniser.end < text.length) this.#readMany(text, recogniser, recogniser.section);
    else {
      unread.text = '';
      if (!this.#answer(recogniser)) this.#leave(text);
    }
    // Nor is its end read, or a parser that reads on from here would not see it.
    if (this.#isBusy && unread.text !== '' && !this.#isClosed) this.socket.pause();
  }

  get #isBusy(): boolean {
    return this.waitsFor === 'answer' || this.waitsFor === 'reader';
  }

  /** @returns How the request that was just recognised is answered; `undefined`: not here. */
  #answer(recogniser: Recogniser): 'prepared' | 'claimed' | undefined {
    const section = recogniser.section as Section;
    const isFirst = this.#claimed.length === 0;
    if (isFirst) this.waitsFor = 'request';
    this.since = this.startedAt;
    this.#unread.last = section;
    const { isPrepared, onRequest } = this.#server.options;
    const exchange = this.#server.takeExchange();
    exchange.begin(this, recogniser);
    if ((isPrepared === true && isFirst && !section.isLast) || exchange.claim()) onRequest(exchange);
    if (exchange.isClaimed) return 'claimed';
    this.#server.reuse(exchange);
    return exchange.isSent ? 'prepared' : undefined;
  }

  /** Leaves a request, and all that follows, to `node:http`, once those before it are answered. */
  #leave(text: string): void {
    this.#unread.text = text;
    if (this.#claimed.length === 0) this.#handOff();
    else this.#isBehind = true;
  }

  /** Begins requests that came at once, in their order. */
  #readMany(text: string, recogniser: Recogniser, likely: Section | undefined): void {
    this.#isReading = true;
    const hasOther = this.#beginMany(text, recogniser, likely);
    this.#isReading = false;
    if (!hasOther) return;
    if (this.#claimed.length > 0) this.#isBehind = true;
    else this.#waitForMore();
  }

  /** @returns Whether what is unread begins with what is no such request. */
  #beginMany(text: string, recogniser: Recogniser, likely: Section | undefined): boolean {
    const unread = this.#unread;
    const sliceEnd = turns.sliceEnd();
    let isLookedUp = false;
    for (let at = 0; ; ) {
      const isParsed = unread.hasParsed;
      if (!isParsed && unread.endGroup()) return true;
      // Requests that are claimed cost more than a group of those that are not.
      if (at > 0 && !(isParsed && isLookedUp) && monotonicNow() >= sliceEnd) {
        this.#goOnLater();
        return false;
      }
      if (!isParsed && !unread.parseGroup(text, at, recogniser, at === 0 ? likely : unread.last)) {
        this.#leave(unread.text);
        return false;
      }
      if (!unread.hasParsed) continue;
      if (!recogniser.recognise(text, at, unread.takeParsed())) return true;
      const { end } = recogniser;
      // Before the answer, which may be written by the time it returns: what is left then is yet to be read.
      unread.text = end === text.length ? '' : text.slice(end);
      const answered = this.#answer(recogniser);
      if (answered === undefined) {
        this.#leave(text.slice(at));
        return false;
      }
      isLookedUp = answered === 'prepared';
      at = end;
      if (at === text.length) unread.dropGroup();
      if (at === text.length || (this.waitsFor !== 'request' && !this.#mayReadBehind)) return false;
    }
  }

  /** True if requests may be taken beside those that are claimed. */
  get #mayReadBehind(): boolean {
    const claimed = this.#claimed;
    const first = claimed[0];
    if (first === undefined || claimed.length >= MAX_AT_ONCE || this.waitsFor !== 'answer') return false;
    return !this.#isBehind && isSafe(first.method) && claimed.at(-1)?.isLast === false;
  }

  #waitForMore(): void {
    const unread = this.#unread;
    if (unread.isTooLarge) {
      this.reject(TOO_LARGE);
      return;
    }
    const whole = unread.takeWhole();
    if (whole !== undefined) {
      const exchange = new Http1Exchange();
      exchange.beginWhole(this, whole);
      this.#server.options.onRequest(exchange);
    } else if (unread.awaitHead()) this.waitsFor = 'rest-of-head';
    else this.#handOff();
  }

  /** True if what comes now begins a request. */
  get #isBeginning(): boolean {
    return this.#unread.isBeginning && !this.#isBusy;
  }

  /** An answer is written, and the reader has taken it. */
  #goOn(): void {
    if (this.#isClosed || this.socket.destroyed) return;
    const next = this.#claimed[0];
    if (next !== undefined) {
      this.waitsFor = 'answer';
      if (this.#unread.text !== '' && this.#mayReadBehind) this.#goOnLater();
      next.beginTurn();
      return;
    }
    this.waitsFor = 'request';
    this.since = monotonicNow();
    if (this.#isReading) return;
    if (this.#server.closing) {
      if (this.#unread.text === '') this.socket.destroySoon();
      else this.#handOff();
      return;
    }
    if (this.#unread.text === '') {
      if (this.#hasEnded) this.socket.end();
      return;
    }
    // Not from within the answer to the request before: a thousand of them would be as deep.
    this.#goOnLater();
  }

  /** Reads on what has come when others have had their turn. */
  #goOnLater(): void {
    this.waitsFor = 'answer';
    this.socket.pause();
    if (this.#isPutOff) return;
    this.#isPutOff = true;
    turns.later(() => {
      this.#isPutOff = false;
      if (this.#isClosed || this.socket.destroyed || this.waitsFor !== 'answer') return;
      this.startedAt = monotonicNow();
      this.#read();
      if (this.#isClosed) return;
      if (!this.#isBusy && this.#hasEnded) this.#onEnd();
      else if (!this.#isBusy || this.#unread.text === '') this.socket.resume(); // no other code would, once that is answered
    });
  }

  /** Closes the connection behind its last answer. */
  #close(): void {
    if (this.#unread.text === '') {
      this.socket.destroySoon();
      return;
    }
    this.#detach();
    const unanswered = this.#claimed;
    this.socket.once('close', () => {
      for (const exchange of unanswered) exchange.closed();
    });
    this.socket.end();
    linger(this.socket);
  }

  #waitForReader(then: () => void): void {
    this.waitsFor = 'reader';
    this.since = monotonicNow();
    this.socket.once('drain', () => {
      this.waitsFor = 'answer';
      then();
    });
  }

  #handOff(): void {
    const unread = this.#unread.takeAll();
    this.socket.resume(); // what came while an answer was on its way has held it
    this.#detach();
    restoreTimer(this.socket);
    this.#handoff.handOff(this.socket, unread === '' ? undefined : Buffer.from(unread, 'latin1'));
  }

  #detach(): void {
    this.#isClosed = true;
    this.#server.forget(this);
    this.socket.off('data', this.#onData);
    this.socket.off('end', this.#onEnd);
    this.socket.off('close', this.#onClose);
    this.socket.off('error', ignore);
  }
}

/** The connection closes after an error, and that is what counts. */
function ignore(): void {
  // nothing to do
}

/**
 * Text that has arrived on a connection and is not answered yet: the requests that it begins with, parsed in groups,
 * and the state of a head that has not come to its end.
 * @module
 */
import type { LimitsConfig } from '../../config/schema.ts';
import { LineProgress } from '../node-http/request-line.ts';
import { type HeadProgress, isHeadBeyond, isHeadOfBytesBeyond, mostHeadBytes } from './head-progress.ts';
import { isVisible, type Recogniser, type Section } from './recogniser.ts';
import { type WholeRequest, wholeRequest } from './whole-request.ts';

/** Size of a group of requests: those that begin within so many bytes are parsed before the first is answered. */
const GROUP_BYTES = 4_096;

/** Requests that were parsed before the first of them is answered. */
interface Group {
  readonly sections: readonly Section[];
  /** True if what follows them is no such request. */
  isEnd: boolean;
  /** Number of those that were taken. */
  taken: number;
}

export class UnreadText {
  readonly #limits: () => LimitsConfig;
  text = '';
  recogniser: Recogniser | undefined;
  /** The section of the last request. */
  last: Section | undefined;
  /** Parser state of an incomplete head, whose bytes begin with `text`. */
  #progress: HeadProgress | LineProgress | undefined;
  /** Parser state of a head behind requests that are answered first. */
  #following: HeadProgress | undefined;
  /** Rest of the group of requests that `text` begins with. */
  #group: Group | undefined;

  /** @param limits - Asked at each use, as a reload changes them. */
  constructor(limits: () => LimitsConfig) {
    this.#limits = limits;
  }

  /** True if what comes now begins a request. */
  get isBeginning(): boolean {
    return this.text === '' && this.#progress === undefined;
  }

  /** True if a head has begun, and is not complete. */
  get isInHead(): boolean {
    return this.#progress !== undefined;
  }

  /** True if requests that came at once are left of a group. */
  get isInGroup(): boolean {
    return this.#group !== undefined;
  }

  /** Adds what has come. @returns Whether to read `text` now: more could complete a head that has begun. */
  add(text: string): boolean {
    const progress = this.#progress;
    if (progress === undefined) this.text = this.text === '' ? text : this.text + text;
    else {
      if (progress.add(text) === 'more') return false;
      this.text = progress.text;
      this.#progress = undefined;
    }
    return true;
  }

  /** Adds what has come behind requests that are answered first. */
  addBehind(text: string): void {
    this.text += text;
    if (this.#group !== undefined) this.#group.isEnd = false;
  }

  /** Reads on with this recogniser: after a reload what was found with another one does not count. */
  readWith(recogniser: Recogniser): void {
    if (this.recogniser === recogniser) return;
    this.recogniser = recogniser;
    this.last = undefined;
    this.#group = undefined;
    this.#following = undefined;
  }

  /** Takes all that is left. */
  takeAll(): string {
    const all = this.#progress?.text ?? this.text;
    this.text = '';
    this.#progress = undefined;
    return all;
  }

  /** Returns whether a request begins the text whose head is larger than a head may be. */
  get isTooLarge(): boolean {
    return this.#isTooLarge(this.text);
  }

  /** The same for bytes that begin a request. */
  isHeadTooLarge(bytes: Buffer, length: number): boolean {
    return isHeadOfBytesBeyond(bytes, length, this.#mostHeadBytes);
  }

  get #mostHeadBytes(): number {
    return mostHeadBytes(this.#limits());
  }

  #isTooLarge(text: string): boolean {
    const most = this.#mostHeadBytes;
    return text.length >= most && isHeadBeyond(text, most);
  }

  /** Takes a request of another method that begins the text, body included, if all of it has come. */
  takeWhole(): WholeRequest | undefined {
    const whole = wholeRequest(this.text, this.recogniser as Recogniser);
    if (whole === undefined) return undefined;
    this.text = this.text.slice(whole.end);
    this.#following = undefined;
    return whole;
  }

  /** Begins to wait for the rest of a head or a request line. @returns False if more could not complete one. */
  awaitHead(): boolean {
    const following = this.#following;
    this.#following = undefined;
    this.#progress = following?.text === this.text ? following : this.#progressOf();
    return this.#progress !== undefined;
  }

  #progressOf(): HeadProgress | LineProgress | undefined {
    const head = (this.recogniser as Recogniser).headInPieces(this.#mostHeadBytes);
    if (head.add(this.text) === 'more') return head;
    const line = new LineProgress(this.#limits().max_header);
    return line.add(this.text) === 'more' ? line : undefined;
  }

  /** True if the next request is one of those that are parsed already. */
  get hasParsed(): boolean {
    return this.#group !== undefined && this.#group.taken < this.#group.sections.length;
  }

  /** Ends a group of which all requests were taken. @returns Whether what follows it is no such request. */
  endGroup(): boolean {
    if (this.#group?.isEnd !== true) return false;
    this.#group = undefined;
    return true;
  }

  /** Takes the next request of the group. @returns Its section. */
  takeParsed(): Section {
    const group = this.#group as Group;
    return group.sections[group.taken++] as Section;
  }

  /** The text has come to its end. */
  dropGroup(): void {
    this.#group = undefined;
  }

  /**
   * Parses the requests that begin there, or within so many bytes.
   *
   * @returns False where one must not be answered here: it says so to those before it, whose answers differ then.
   */
  parseGroup(text: string, from: number, recogniser: Recogniser, likely: Section | undefined): boolean {
    this.#group = undefined;
    const sections: Section[] = [];
    let at = from;
    let last = likely;
    let isEnd = false;
    while (at < text.length && at < from + GROUP_BYTES) {
      if (!recogniser.recognise(text, at, last)) {
        const rest = text.slice(at);
        const progress = recogniser.headInPieces(this.#mostHeadBytes);
        if (progress.add(rest) === 'more') this.#following = progress;
        else if (!this.#isTooLarge(rest) && !recogniser.isWellFormed(rest)) return false;
        isEnd = true;
        break;
      }
      if (!isVisible(recogniser.target)) return false;
      last = recogniser.section as Section;
      sections.push(last);
      at = recogniser.end;
      if (last.isLast) break; // what follows is not read
    }
    this.#group = { sections, isEnd, taken: 0 };
    return true;
  }
}

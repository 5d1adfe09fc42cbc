/**
 * The field section of a request as it is read (RFC 9113, section 8.3), or of
 * the trailers behind its body. It keeps no more than the bounds allow, and
 * says afterwards what it was.
 * @module
 */
import { type Field, OVERHEAD, PSEUDO, ROLE } from './fields.ts';

export interface SectionLimits {
  /** Bytes, by the sizes of RFC 9113, section 6.5.2. */
  readonly max_header: number;
  /** Lines; those that a cookie is cut into and pseudo-header fields are not counted. */
  readonly max_headers: number;
}

export type Verdict = 'fine' | 'malformed' | 'too-large';

/** A request as it begins. */
export interface IncomingRequest {
  readonly id: number;
  readonly section: Section;
  readonly hasBody: boolean;
  /** True if the section exceeds the limits: the rest of it was dropped. */
  readonly isTooLarge: boolean;
}

export class Section {
  /** As they came, pseudo-header fields first. */
  readonly fields: Field[] = [];
  /** `:method` and `:path`, where they are. */
  method = '';
  path = '';
  /** The length of the body that it announces, in bytes. */
  contentLength: number | undefined;
  /** False if it has a field about the message or the connection: it is read each time. */
  mayRepeat = true;
  /** Set by the handler if the request was answered from a memoised section. */
  isRemembered = false;
  readonly #maxBytes: number;
  readonly #maxLines: number;
  #seen = 0;
  #bytes = 0;
  #lines = 0;
  #isMalformed = false;
  #isConnect = false;
  #hasOrdinary = false;

  constructor({ max_header, max_headers }: SectionLimits) {
    this.#maxBytes = max_header;
    this.#maxLines = max_headers;
  }

  add(field: Field): void {
    const { role } = field;
    this.#bytes += field.size;
    if (role === ROLE.ordinary) {
      this.#hasOrdinary = true;
      this.#lines++;
    } else this.#addSpecial(field);
    if (this.#bytes <= this.#maxBytes) this.fields.push(field);
  }

  /**
   * Returns whether the two differ in `:method` and `:path` at most. Fields of one table are compared by their
   * identity.
   */
  isLike({ fields: others }: Section): boolean {
    const { fields } = this;
    if (fields.length !== others.length) return false;
    for (let i = 0; i < fields.length; i++) {
      const [one, other] = [fields[i] as Field, others[i] as Field];
      if (one === other || (one.role === other.role && isOfTarget(one))) continue;
      if (one.name !== other.name || one.value !== other.value) return false;
    }
    return true;
  }

  /** Text that sections share which differ in `:method` and `:path` at most. */
  get textBesidesTarget(): string {
    let text = '';
    for (const field of this.fields) if (!isOfTarget(field)) text += `${field.name}\0${field.value}\0`;
    return text;
  }

  /** Length of that text: less work than to make it. */
  get charsBesidesTarget(): number {
    let chars = 0;
    for (const field of this.fields) if (!isOfTarget(field)) chars += field.size - OVERHEAD + 2;
    return chars;
  }

  /** Names and values of the fields. */
  get raw(): string[] {
    const raw: string[] = [];
    for (const { name, value } of this.fields) raw.push(name, value);
    return raw;
  }

  /** By the sizes of RFC 9113, section 6.5.2. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Validates the section as that of a request. */
  request(): Verdict {
    if (this.#isMalformed) return 'malformed';
    const needed = this.#isConnect ? ROLE.method | ROLE.authority : ROLE.method | ROLE.scheme | ROLE.path;
    const isWhole = this.#isConnect ? this.#seen === needed : (this.#seen & needed) === needed;
    if (!isWhole) return 'malformed';
    return this.#isWithinBounds() ? 'fine' : 'too-large';
  }

  /** RFC 9113, section 8.1: "Trailers MUST NOT include pseudo-header fields". */
  trailers(): Verdict {
    if (this.#isMalformed || this.#seen !== 0) return 'malformed';
    return this.#isWithinBounds() ? 'fine' : 'too-large';
  }

  #addSpecial({ role, value }: Field): void {
    if (role & PSEUDO) {
      // "all pseudo-header fields MUST appear before regular field lines", and none twice (section 8.3).
      if (this.#hasOrdinary || this.#seen & role || value === '') this.#isMalformed = true;
      this.#seen |= role;
      if (role === ROLE.path) this.path = value;
      else if (role === ROLE.method) {
        this.method = value;
        this.#isConnect = value === 'CONNECT';
      }
      return;
    }
    this.#hasOrdinary = true;
    if (role === ROLE.cookie) return;
    this.#lines++;
    this.mayRepeat = false;
    if (role === ROLE.malformed) this.#isMalformed = true;
    else if (role === ROLE.contentLength) {
      if (this.contentLength !== undefined) this.#isMalformed = true;
      this.contentLength = Number(value);
    }
  }

  #isWithinBounds(): boolean {
    return this.#bytes <= this.#maxBytes && this.#lines <= this.#maxLines;
  }
}

function isOfTarget({ role }: Field): boolean {
  return role === ROLE.path || role === ROLE.method;
}

/**
 * Numbers and texts as they stand in a record (record.ts), one after the other:
 * integers of 32 bits, doubles, and texts. Little-endian.
 *
 * A text is 16 bits: below 0x7fff the length of a text among the record's own,
 * 0x7fff the same with 32 bits after it that say the length, from 0x8000 on the
 * number of one that many records share, 0xffff none at all.
 * @module
 */
import { OWN_TEXTS, type Texts } from './texts.ts';

const LONG = 0x7fff;
const SHARED = 0x8000;
const NONE = 0xffff;

const FIRST_BYTES = 4 * 1024;

/** The one record that is being written. */
export class RecordBytes {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #view = new DataView(this.#buffer.buffer);
  #end = 0;
  #texts = '';
  #shared: Texts = OWN_TEXTS;

  /** @param shared - Numbers of the texts that many records share. */
  begin(shared: Texts): void {
    this.#shared = shared;
    this.#end = 0;
    this.#texts = '';
  }

  /** The record's own texts, one after the other. */
  get texts(): string {
    return this.#texts;
  }

  /** Bytes that are written, without texts. */
  get length(): number {
    return this.#end;
  }

  copyTo(target: Buffer, offset: number): void {
    this.#buffer.copy(target, offset, 0, this.#end);
  }

  integer(value: number): void {
    const at = this.#room(4);
    this.#view.setInt32(at, value, true);
  }

  double(value: number): void {
    const at = this.#room(8);
    this.#view.setFloat64(at, value, true);
  }

  text(text: string | undefined): void {
    if (text === undefined) {
      this.#short(NONE);
      return;
    }
    this.#texts += text;
    if (text.length < LONG) {
      this.#short(text.length);
      return;
    }
    this.#short(LONG);
    this.integer(text.length);
  }

  list(texts: readonly string[]): void {
    this.integer(texts.length);
    for (const text of texts) this.text(text);
  }

  /** A list of names and values. */
  fields(fields: readonly string[]): void {
    this.integer(fields.length);
    for (let i = 0; i < fields.length; i += 2) {
      const name = this.name(fields[i] as string);
      const value = fields[i + 1] as string;
      const number = name === undefined ? undefined : this.#shared.numberOfValue(name, value);
      if (number === undefined) this.text(value);
      else this.#short(SHARED + number);
    }
  }

  /** @returns The name's number, if it has one. */
  name(name: string): number | undefined {
    const number = this.#shared.numberOfName(name);
    if (number === undefined) this.text(name);
    else this.#short(SHARED + number);
    return number;
  }

  #short(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
  }

  #room(bytes: number): number {
    const at = this.#end;
    this.#end += bytes;
    if (this.#end > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(this.#end * 2);
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** Reads what `RecordBytes` wrote, in the same order. */
export class RecordReader {
  readonly #view: DataView;
  readonly #texts: string;
  readonly #shared: Texts;
  #at: number;
  #textsAt = 0;

  /** @param texts - As `RecordBytes.texts` was. @param shared - As `begin` took it. */
  constructor(view: DataView, at: number, texts: string, shared: Texts) {
    this.#shared = shared;
    this.#view = view;
    this.#at = at;
    this.#texts = texts;
  }

  integer(): number {
    const value = this.#view.getInt32(this.#at, true);
    this.#at += 4;
    return value;
  }

  double(): number {
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }

  text(): string | undefined {
    const tag = this.#view.getUint16(this.#at, true);
    this.#at += 2;
    if (tag === NONE) return undefined;
    if (tag >= SHARED) return this.#shared.textOf(tag - SHARED);
    const length = tag === LONG ? this.integer() : tag;
    const start = this.#textsAt;
    this.#textsAt += length;
    return this.#texts.slice(start, this.#textsAt);
  }

  list(): readonly string[] {
    const length = this.integer();
    if (length === 0) return NOTHING;
    const texts: string[] = [];
    for (let i = 0; i < length; i++) texts.push(this.text() as string);
    return texts;
  }
}

const NOTHING: readonly string[] = [];

/** Finds the end of an HTTP/1.1 answer, for clients that read many. @module */

const HEAD_END = '\r\n\r\n';

/** Finds the end of an answer by its Content-Length. */
export class AnswerLength {
  #head = '';
  #left = Number.NaN;

  /** @returns Whether the answer is whole. @throws {Error} when it names no length. */
  take(piece: Buffer): boolean {
    let length = piece.length;
    if (Number.isNaN(this.#left)) {
      this.#head += piece.toString('latin1');
      const end = this.#head.indexOf(HEAD_END);
      if (end < 0) return false;
      this.#left = Number(/\r\ncontent-length: *(\d+)\r/i.exec(this.#head.slice(0, end + 2))?.[1]);
      if (Number.isNaN(this.#left)) throw new Error('an answer without Content-Length');
      length = this.#head.length - end - HEAD_END.length;
    }
    this.#left -= length;
    return this.#left <= 0;
  }
}

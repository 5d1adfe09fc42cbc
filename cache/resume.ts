/**
 * A reader that fell too far behind a body that is not kept goes on by
 * itself: it asks upstream for the rest, provided that it is the rest of the
 * same representation (RFC 9110, section 13.1.5).
 * @module
 */
import { HttpError } from '../http/errors.ts';
import { contentLength } from '../http/fields/content-length.ts';
import { fieldValue, type RawHeaders, withoutFields } from '../http/fields/headers.ts';
import { type ByteRange, parseContentRange } from '../http/fields/range.ts';
import type { BodyReader, Fetch, Flow, ResponseHead, UpstreamRequest } from '../http/message.ts';
import { CONDITIONAL_FIELDS } from './policy/validation.ts';
import { SharedBody } from './shared-body.ts';
import { LaggedError } from './shared-reader.ts';
import { strongValidator } from './stored-response.ts';

export interface ResumeOptions {
  readonly fetch: Fetch;
  /** The request whose answer is being read. */
  readonly request: UpstreamRequest;
  /** Position of the body in the whole representation; undefined if unknown: then a slow reader is disconnected. */
  readonly bodyRange: BodyRange | undefined;
}

export interface BodyRange extends ByteRange {
  /** A strong entity tag of the representation. */
  readonly validator: string;
  /** Length of the whole representation, where it is known. */
  readonly length: number | undefined;
}

/** Returns the position of a response's body in its representation, if the rest can be requested. */
export function bodyRangeOf(
  { status, headers }: Pick<ResponseHead, 'status' | 'headers'>,
  length = contentLength(headers),
): BodyRange | undefined {
  const validator = strongValidator(headers);
  if (validator === undefined) return undefined;
  if (status === 200) return length === undefined ? undefined : { start: 0, end: length, length, validator };
  const range = status === 206 ? parseContentRange(fieldValue(headers, 'content-range')) : undefined;
  return range === undefined || 'unsatisfied' in range ? undefined : { ...range, validator };
}

export class ResumingReader implements BodyReader {
  readonly #options: ResumeOptions;
  #reader: BodyReader;
  /** Gives up the request for the rest, while it has not been answered. */
  #abortRest: (() => void) | undefined;
  #closed = false;

  constructor(reader: BodyReader, options: ResumeOptions) {
    this.#reader = reader;
    this.#options = options;
  }

  next(): Buffer | null | Promise<Buffer | null> {
    try {
      const piece = this.#reader.next();
      return piece instanceof Promise ? piece.catch((error: unknown) => this.#resume(error)) : piece;
    } catch (error) {
      return this.#resume(error);
    }
  }

  release(): void {
    this.#reader.release?.();
  }

  close(): void {
    this.#closed = true;
    this.#reader.close();
    this.#abortRest?.();
  }

  async #resume(error: unknown): Promise<Buffer | null> {
    const { bodyRange: place } = this.#options;
    if (this.#closed) return null;
    if (!(error instanceof LaggedError)) throw error;
    if (place === undefined) throw new HttpError('overloaded', error.message, { cause: error });
    const { started, abort: giveUp } = rest(this.#options, { ...place, start: place.start + error.position });
    this.#abortRest = giveUp;
    try {
      this.#reader = await started;
    } catch (failure) {
      if (this.#closed) return null;
      throw failure;
    } finally {
      this.#abortRest = undefined;
    }
    if (this.#closed) this.#reader.close();
    return this.#reader.next();
  }
}

/** Asks for the rest. `begun` resolves when it is known to be the rest of the same representation. */
function rest(
  { fetch, request }: ResumeOptions,
  place: BodyRange,
): { readonly started: Promise<BodyReader>; readonly abort: () => void } {
  const { start, end, validator } = place;
  const { promise: started, resolve, reject } = Promise.withResolvers<BodyReader>();
  const headers = [...withoutFields(request.headers, new Set([...CONDITIONAL_FIELDS, 'range']))];
  headers.push('Range', `bytes=${start}-${end - 1}`, 'If-Range', validator);
  let body: SharedBody | undefined;
  const flow: Flow = fetch(
    { ...request, headers },
    {
      onInterim: () => undefined,
      onHead: (head) => {
        if (!isRest(head.status, head.headers, place)) {
          reject(new HttpError('origin_bad_response', `no rest of ${request.target} from byte ${start}`));
          queueMicrotask(() => flow.abort());
          return;
        }
        body = new SharedBody({
          writer: undefined,
          maxStoredBytes: 0,
          windowBytes: Number.POSITIVE_INFINITY, // one reader: it is held back, never cut
          flow: { pause: () => flow.pause(), resume: () => flow.resume(), abort: () => flow.abort() },
          onAbandoned: () => flow.abort(),
        });
        resolve(body.reader(0, end - start));
      },
      onData: (chunk) => body?.append(chunk),
      onEnd: (trailers) => {
        if (body === undefined) return;
        if (body.received >= end - start) {
          body.end(trailers, 0);
          body.settle();
        } else body.fail(new HttpError('origin_bad_response', `the rest of ${request.target} is too short`));
      },
      onError: (error) => {
        body?.fail(error);
        reject(error);
      },
    },
  );
  const giveUp = (): void => {
    flow.abort();
    reject(new HttpError('client_closed'));
  };
  return { started, abort: giveUp };
}

/**
 * Returns whether a response is this part of this very representation: two lengths are two representations, whatever
 * the tag says.
 */
export function isRest(status: number, headers: RawHeaders, { start, end, length, validator }: BodyRange): boolean {
  const range = parseContentRange(fieldValue(headers, 'content-range'));
  if (status !== 206 || range === undefined || 'unsatisfied' in range) return false;
  if (length !== undefined && range.length !== undefined && range.length !== length) return false;
  return range.start === start && range.end === end && fieldValue(headers, 'etag') === validator;
}

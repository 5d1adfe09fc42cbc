/**
 * The way between a connection and the parser of `node:http`, which
 * http/node-http/reading.ts stands in.
 * @module
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { NodeInternal } from './node-internal.ts';

export const PARSER_INPUT = new NodeInternal({
  name: 'parser_input',
  uses: "`_consumed` of a connection's handle",
  without: 'a connection that sends many requests at once is read without a break, while others wait',
});

export const PARSER_BEGIN = new NodeInternal({
  name: 'parser_begin',
  uses: 'slot 0 of the parser, which is called at the first byte of a request',
  without: 'the time limit for a request does not run before its head is complete',
});

export const PARSER_PAUSE = new NodeInternal({
  name: 'parser_pause',
  uses: '`_paused` of a connection that `node:http` has paused',
  without: 'requests that came in one read are all parsed, though answers before them have not been read',
});

export const PARSER_ERRORS = new NodeInternal({
  name: 'parser_errors',
  uses: '`execute` of the parser, and its `incoming`',
  without: 'a malformed request behind an Upgrade is answered when its time is up',
});

/** Slot of the parser for what it calls at the beginning of a message; `null` while nothing is called. */
const ON_MESSAGE_BEGIN = 0;

interface Parser {
  [ON_MESSAGE_BEGIN]?: (() => void) | null;
  /** Request of the last head. */
  readonly incoming?: (IncomingMessage & { readonly upgrade?: boolean | null }) | null;
  /** @returns Bytes that it took, or an error. */
  execute(bytes: Buffer): number | Error;
}

interface Parsed {
  readonly parser?: Parser | null;
}

/** Keeps the parser from reading the system's handle itself, which it does unless another one does. */
export function keepFromParser(socket: Socket): void {
  if (!PARSER_INPUT.isUsable) return;
  const { _handle: handle } = socket as Socket & { readonly _handle?: { _consumed?: boolean } | null };
  if (handle) handle._consumed = true;
}

/** Calls back at the first byte of each request. @param socket - One that has a parser. */
export function onMessageBegin(socket: Socket, onBegin: () => void): void {
  const { parser } = socket as Parsed;
  if (PARSER_BEGIN.isUsable && parser?.[ON_MESSAGE_BEGIN] === null) parser[ON_MESSAGE_BEGIN] = onBegin;
}

/** Has errors reported that Node swallows. @param socket - One that has a parser. */
export function reportSwallowedErrors(socket: Socket): void {
  const { parser } = socket as Parsed;
  if (PARSER_ERRORS.isUsable && parser) parser.execute = executeAloud;
}

/** Returns whether the parser is one whose errors can be reported. */
export function canReportErrors(socket: Socket): boolean {
  const { parser } = socket as Parsed;
  return parser != null && typeof Object.getPrototypeOf(parser)?.execute === 'function' && 'incoming' in parser;
}

/**
 * Parses, and returns the errors that Node swallows: behind the head of a request with Upgrade its parser takes fewer
 * bytes, and the request would wait for the end of its time. The same function for all connections, as a parser is used
 * for one after the other.
 */
function executeAloud(this: Parser, bytes: Buffer): number | Error {
  const taken = (Object.getPrototypeOf(this) as Parser).execute.call(this, bytes);
  const { incoming } = this;
  const isSwallowed =
    typeof taken === 'number' && taken < bytes.length && incoming && !incoming.upgrade && !incoming.complete;
  return isSwallowed ? Object.assign(new Error('malformed behind an Upgrade'), { code: 'HPE_USER' }) : taken;
}

/** Returns whether `node:http` itself has paused the connection, and must be given nothing. */
export function isHeldByNode(socket: Socket & { readonly _paused?: boolean }): boolean {
  return PARSER_PAUSE.isUsable && socket._paused === true;
}

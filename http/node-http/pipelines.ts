/**
 * The requests of each connection that `node:http` has read and that are not
 * answered yet. It reads whatever a client sends at once; what is answered at
 * a time is decided here. Safe requests are answered side by side, within a
 * bound; one that is not safe has to wait for those before it, and those behind
 * wait for it (RFC 9112, section 9.3.2). No more is read while any waits.
 * @module
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Requests of one connection that are answered at a time. */
export const MAX_AT_ONCE = 16;

interface Turn {
  readonly response: ServerResponse;
  readonly isSafe: boolean;
  /** Begins the answer; absent once it has begun. */
  begin: (() => void) | undefined;
}

interface Pipeline {
  /** In the order of their requests; answers go out in that order. */
  readonly turns: Turn[];
  isHeld: boolean;
  /** Position of the parser: in a head, or behind one; `undefined` until it has reported one. */
  reads: 'head' | 'message' | undefined;
  /** Bytes that had come when all requests were answered last, and the next one had not begun. */
  bytesAnswered: number | undefined;
}

export class Pipelines {
  readonly #pipelines = new Map<Duplex, Pipeline>();

  /** Takes note of a connection before a parser reads it. @returns Whether it is a new one. */
  watch(socket: Duplex): boolean {
    const known = this.#pipelines.get(socket);
    if (known !== undefined) {
      known.reads = undefined;
      known.bytesAnswered = undefined;
      return false;
    }
    const pipeline: Pipeline = { turns: [], isHeld: false, reads: undefined, bytesAnswered: undefined };
    this.#pipelines.set(socket, pipeline);
    socket.once('close', () => this.#pipelines.delete(socket));
    // Node begins to read again with each request that it is done with.
    const resume = socket.resume.bind(socket);
    socket.resume = () => (pipeline.isHeld ? socket : resume());
    return true;
  }

  /** The first byte of a request has been read. */
  requestStarted(socket: Duplex): void {
    const pipeline = this.#pipelines.get(socket);
    if (pipeline !== undefined) pipeline.reads = 'head';
  }

  /** @param begin - Has the request answered; called at once, or when its turn has come. */
  add(socket: Duplex, response: ServerResponse, isSafe: boolean, begin: () => void): void {
    const pipeline = this.#pipelines.get(socket);
    if (pipeline === undefined) return; // closed
    dropFinished(pipeline.turns);
    if (pipeline.reads === 'head') pipeline.reads = 'message';
    pipeline.bytesAnswered = undefined;
    pipeline.turns.push({ response, isSafe, begin });
    response.once('finish', () => {
      if (pipeline.reads === 'message' && pipeline.turns.every((turn) => turn.response.writableFinished)) {
        pipeline.bytesAnswered = (socket as Partial<Socket>).bytesRead;
      }
    });
    beginNext(pipeline.turns);
    if (pipeline.isHeld || !hasWaiting(pipeline.turns)) return;
    pipeline.isHeld = true;
    socket.pause();
    this.#goOnAfterFirst(socket, pipeline);
  }

  /** Reads on, and begins nothing more. */
  release(socket: Duplex): void {
    const pipeline = this.#pipelines.get(socket);
    if (pipeline === undefined) return;
    for (const turn of pipeline.turns) turn.begin = undefined;
    pipeline.isHeld = false;
  }

  latest(socket: Duplex): ServerResponse | undefined {
    return this.#pipelines.get(socket)?.turns.at(-1)?.response;
  }

  unfinished(socket: Duplex): readonly ServerResponse[] {
    const turns = this.#pipelines.get(socket)?.turns ?? [];
    return turns.flatMap(({ response }) => (response.writableFinished ? [] : [response]));
  }

  /** Returns whether the packet is the first that came after all requests before it were answered. */
  isBetween(socket: Duplex, packet: Buffer | undefined): boolean {
    const { bytesAnswered } = this.#pipelines.get(socket) ?? {};
    return (
      bytesAnswered !== undefined && (socket as Partial<Socket>).bytesRead === bytesAnswered + (packet?.length ?? 0)
    );
  }

  /** Lets every answer that has not begun say that it is the last one of its connection. */
  endAll(): void {
    for (const socket of this.#pipelines.keys()) {
      for (const response of this.unfinished(socket)) response.shouldKeepAlive = false; // too late where it has begun
    }
  }

  #goOnAfterFirst(socket: Duplex, pipeline: Pipeline): void {
    const { turns } = pipeline;
    turns[0]?.response.once('close', () => {
      if (!pipeline.isHeld || socket.destroyed) return;
      dropFinished(turns);
      beginNext(turns);
      if (hasWaiting(turns)) {
        this.#goOnAfterFirst(socket, pipeline);
        return;
      }
      pipeline.isHeld = false;
      socket.resume();
    });
  }
}

/** Removes finished turns, which come first. */
function dropFinished(turns: Turn[]): void {
  let finished = 0;
  while (turns[finished]?.response.writableFinished) finished++;
  if (finished > 0) turns.splice(0, finished);
}

/** Begins what may be answered beside what is being answered. */
function beginNext(turns: readonly Turn[]): void {
  for (const [index, turn] of turns.entries()) {
    const isAlone = index === 0;
    if (!isAlone && (index >= MAX_AT_ONCE || !turn.isSafe || turns[0]?.isSafe === false)) return;
    const { begin } = turn;
    turn.begin = undefined;
    begin?.();
  }
}

function hasWaiting(turns: readonly Turn[]): boolean {
  return turns.at(-1)?.begin !== undefined;
}

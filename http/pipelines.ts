/**
 * The requests of each connection that `node:http` has read and that are not
 * answered yet. It reads whatever a client sends at once (RFC 9112, section
 * 9.3.2), so what is answered at a time is bounded here: further requests wait
 * until those before them are answered, and no more is read meanwhile.
 * @module
 */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Requests of one connection that are answered at a time. */
const MAX_AT_ONCE = 64;

interface Pipeline {
  /** In the order of their requests; answers go out in that order. */
  readonly responses: ServerResponse[];
  /** What begins the answers to the last of them. */
  readonly waiting: (() => void)[];
  isHeld: boolean;
}

export class Pipelines {
  readonly #pipelines = new Map<Duplex, Pipeline>();

  /** To be told of each connection before it is read. */
  watch(socket: Duplex): void {
    const pipeline: Pipeline = { responses: [], waiting: [], isHeld: false };
    this.#pipelines.set(socket, pipeline);
    socket.once('close', () => this.#pipelines.delete(socket));
    // Node begins to read again with each request that it is done with.
    const resume = socket.resume.bind(socket);
    socket.resume = () => (pipeline.isHeld ? socket : resume());
  }

  /** @param begin - Has the request answered; called at once, or when its turn has come. */
  add(socket: Duplex, response: ServerResponse, begin: () => void): void {
    const pipeline = this.#pipelines.get(socket);
    if (pipeline === undefined) return; // closed
    const { responses, waiting } = pipeline;
    dropFinished(responses);
    responses.push(response);
    if (responses.length <= MAX_AT_ONCE) {
      begin();
      return;
    }
    waiting.push(begin);
    if (pipeline.isHeld) return;
    pipeline.isHeld = true;
    socket.pause();
    this.#goOnAfterFirst(socket, pipeline);
  }

  /** Reads on, and begins nothing more. */
  letGo(socket: Duplex): void {
    const pipeline = this.#pipelines.get(socket);
    if (pipeline === undefined) return;
    pipeline.waiting.length = 0;
    pipeline.isHeld = false;
  }

  latest(socket: Duplex): ServerResponse | undefined {
    return this.#pipelines.get(socket)?.responses.at(-1);
  }

  unfinished(socket: Duplex): readonly ServerResponse[] {
    return this.#pipelines.get(socket)?.responses.filter((response) => !response.writableFinished) ?? [];
  }

  /** Lets every answer that has not begun say that it is the last one of its connection. */
  endAll(): void {
    for (const socket of this.#pipelines.keys()) {
      for (const response of this.unfinished(socket)) response.shouldKeepAlive = false; // too late where it has begun
    }
  }

  #goOnAfterFirst(socket: Duplex, pipeline: Pipeline): void {
    const { responses, waiting } = pipeline;
    responses[0]?.once('close', () => {
      if (!pipeline.isHeld || socket.destroyed) return;
      dropFinished(responses);
      const begun = responses.length - waiting.length;
      for (const begin of waiting.splice(0, MAX_AT_ONCE - begun)) begin();
      if (waiting.length > 0) {
        this.#goOnAfterFirst(socket, pipeline);
        return;
      }
      pipeline.isHeld = false;
      socket.resume();
    });
  }
}

/** Those are the first ones. */
function dropFinished(responses: ServerResponse[]): void {
  let finished = 0;
  while (responses[finished]?.writableFinished) finished++;
  if (finished > 0) responses.splice(0, finished);
}

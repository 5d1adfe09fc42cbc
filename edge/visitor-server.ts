/**
 * HTTP/1.1 server of an edge for its visitors.
 * @module
 */
import { Recogniser } from '../http/http1/recogniser.ts';
import { Http1Server } from '../http/http1/server.ts';
import type { NodeCore } from '../tier/node-core.ts';
import type { VisitorPipeline } from './pipeline.ts';

/**
 * Way in which visitors get answers: with prepared bytes where there are some; none prepared; or none prepared, and
 * HTTP/1.1 read by `node:http`.
 */
export type Delivery = 'prepared' | 'ordinary' | 'node:http';

export interface VisitorServer {
  readonly server: Http1Server;
  /** Goes by the limits of the core from now on. */
  update(): void;
}

export function visitorServer(core: NodeCore, pipeline: VisitorPipeline, delivery: Delivery): VisitorServer {
  let recogniser = recogniserFor(core, delivery);
  const server = new Http1Server({
    recogniser: () => recogniser,
    limits: () => core.limits,
    allowHalfOpen: true,
    isPrepared: delivery === 'prepared',
    onRequest: pipeline.answer,
  });
  return {
    server,
    update() {
      recogniser = recogniserFor(core, delivery);
    },
  };
}

function recogniserFor({ limits }: NodeCore, delivery: Delivery): Recogniser {
  if (delivery === 'node:http') return new Recogniser({ maxBytes: 0, maxLines: 0 });
  return new Recogniser({ maxBytes: limits.max_header, maxLines: limits.max_headers });
}

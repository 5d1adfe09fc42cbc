/**
 * The address to which nodes report their traffic (journal/wire.ts).
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import { JournalError } from '../../journal/errors.ts';
import { jsonLines } from '../../journal/lines.ts';
import type { JournalRoute } from '../../journal/routes.ts';
import { TRAFFIC_PATH } from '../../journal/wire.ts';
import { readTraffic } from '../../lib/traffic.ts';
import type { Authentication } from '../../trust/authentication.ts';
import type { TrafficStore } from './traffic-store.ts';

/** A full report has about half of that. */
const MAX_LINE_BYTES = 256 * 1024;
/** Reports of one node a second: an edge that is replaced has two processes for a while. */
const MAX_REPORTS = 5;

export interface TrafficRouteOptions {
  readonly traffic: TrafficStore;
  readonly authentication: Authentication;
  /** Returns the region of a node that is one of this network. */
  readonly regionOf: (node: string) => string | undefined;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

export function trafficRoute({ traffic, authentication, regionOf, now, signal }: TrafficRouteOptions): JournalRoute {
  return {
    method: 'POST',
    path: TRAFFIC_PATH,
    async answer(request, response) {
      const caller = authentication.identify(request.rawHeaders, request.socket);
      authentication.permit(caller, 'report_progress');
      const { name } = caller;
      const region = regionOf(name);
      if (region === undefined) throw authentication.refuse(caller, 'peer_unknown', name);
      const stop = (): void => void request.destroy();
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      let second = 0;
      let reports = 0;
      try {
        for await (const line of jsonLines(request.iterator({ destroyOnReturn: false }), MAX_LINE_BYTES)) {
          const current = Math.floor(now() / 1_000);
          reports = current === second ? reports + 1 : 1;
          second = current;
          if (reports <= MAX_REPORTS) traffic.report({ name, region }, readTraffic(line));
        }
        response.writeHead(204).end();
      } catch (error) {
        if (error instanceof TypeError) throw new JournalError('journal_bad_message', error.message);
        if (error instanceof JournalError || error instanceof HttpError) throw error;
        // Broken off, by the node or by the signal: no caller is left to answer.
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
  };
}

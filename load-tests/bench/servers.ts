/** All servers that are compared. @module */
import { floor } from './peers/floor.ts';
import { haproxy } from './peers/haproxy.ts';
import { nginx } from './peers/nginx.ts';
import { relay } from './peers/relay.ts';
import { trafficServer } from './peers/trafficserver.ts';
import { varnish } from './peers/varnish.ts';
import { seawall } from './seawall.ts';
import type { ServerKind } from './server.ts';

/** Seawall first. Versions are asked for here: it takes a moment. */
export function allServers(): ServerKind[] {
  return [seawall(), nginx('off'), nginx('on'), varnish(), haproxy(), trafficServer(), floor(), relay()];
}

/**
 * The schema of a node’s bounds (promise P5).
 * @module
 */
import { z } from 'zod';
import { positiveSize, timeout } from '../units.ts';

export const limitsSchema = z.strictObject({
  max_header: positiveSize
    .prefault('32KiB')
    .meta({ description: 'Bytes of a request’s header section; more is refused with 431.' }),
  max_target: positiveSize.prefault('8KiB').meta({
    description: 'Bytes of a request’s path and query; more is refused with 414.',
  }),
  max_headers: z
    .number()
    .int()
    .min(16)
    .max(2_000)
    .default(200)
    .meta({ description: 'Header lines of a request; more is refused with 431.' }),
  header_timeout: timeout.prefault('15s').meta({ description: 'Time limit for a request head to arrive; then 408.' }),
  handshake_timeout: timeout
    .prefault('10s')
    .meta({ description: 'Time limit for a TLS handshake; then the connection is closed.' }),
  max_streams: z.number().int().min(1).max(1_000).default(128).meta({
    description: 'Concurrent requests on one HTTP/2 connection; further ones are refused and may be retried.',
  }),
  request_timeout: timeout
    .prefault('5m')
    .meta({ description: 'Time limit for a whole request, with its body, to arrive; then 408.' }),
  body_timeout: timeout.prefault('10s').meta({
    description:
      'Maximum pause in a request body that is forwarded as it arrives (`request_buffering: false`); then 408.',
  }),
  keep_alive_timeout: timeout.prefault('65s').meta({ description: 'Time that an idle connection is kept open.' }),
  write_timeout: timeout
    .prefault('60s')
    .meta({ description: 'Maximum time without progress in sending a response; then the connection is closed.' }),
  max_connections: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .meta({ description: 'Open connections on one listener; more are closed at once.' }),
  connections_per_address: z.number().int().min(0).max(1_000_000).default(2_000).meta({
    description:
      'Open connections of one visitor (an IPv4 address, an IPv6 /64) to one edge; more are closed at once. Trusted proxies are exempt. 0: no limit.',
  }),
  requests_per_address: z.number().int().min(0).max(1_000_000).default(10_000).meta({
    description:
      'Concurrent requests of one visitor (an IPv4 address, an IPv6 /64) at one edge, without those answered at once from memory; more are refused with 429. 0: no limit.',
  }),
  fill_window: positiveSize.prefault('4MiB').meta({
    description:
      'Bytes held for slow readers of a body that is not stored; a reader that falls further behind gets a request of its own.',
  }),
  max_waiters: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(50_000)
    .meta({ description: 'Requests that may wait for one fill; further ones go upstream themselves.' }),
  tier_connections: z
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(1_024)
    .meta({ description: 'Connections to one other node, kept open for the next request; more requests wait.' }),
  tier_waiting: z.number().int().min(0).max(1_000_000).default(50_000).meta({
    description: 'Requests that may wait for a connection to one other node; further ones try the next node.',
  }),
  heartbeat_interval: timeout.prefault('250ms').meta({
    description:
      'Interval of heartbeats to each other node, longer where there are more than a dozen; see [health](health.md).',
  }),
  heartbeat_timeout: timeout.prefault('600ms').meta({
    description: 'Time limit for the answer to a heartbeat; then the node is left out until it answers again.',
  }),
  hot_after: z.number().int().min(1).max(1_000_000).default(16).meta({
    description: 'Requests for a key within ten seconds after which an edge that does not own it stores a copy.',
  }),
  drain_timeout: timeout
    .prefault('10s')
    .meta({ description: 'Time that requests in flight have to finish when the node stops.' }),
});

export type LimitsConfig = z.output<typeof limitsSchema>;

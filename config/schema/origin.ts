/**
 * The schema of a site’s own servers, and of how they are talked to.
 * @module
 */
import { z } from 'zod';
import { PORT } from '../scalars.ts';
import { duration, positiveSize, size, timeout } from '../units.ts';
import { checkSchema } from './check.ts';
import { weight } from './weight.ts';

const ORIGIN_URL = new RegExp(`^https?://(?:\\[[0-9a-fA-F:.]+\\]|[0-9A-Za-z.-]+)(?::${PORT})?/?$`);

export const originSchema = z.strictObject({
  servers: z
    .array(
      z.strictObject({
        url: z
          .string()
          .regex(ORIGIN_URL)
          .meta({
            title: 'http://HOST[:PORT] or https://HOST[:PORT] without a path',
            examples: ['https://origin.example.com'],
            description: 'Scheme, host and port of one origin server.',
          }),
        weight: weight.meta({ description: 'Share of requests relative to the other servers.' }),
        backup: z.boolean().default(false).meta({
          description:
            'Asked only when no server without `backup` answers, or answers without a status of `failover_on`.',
        }),
      }),
    )
    .min(1)
    .max(64)
    .meta({ description: 'The origin servers of the site; one that fails is left out for a while.' }),
  check: checkSchema.optional().meta({
    description:
      'Check of each server, where there are several; see [health](health.md). Absent: a server that fails is left out until it answers the request again that it failed at last.',
  }),
  failover_on: z
    .array(z.number().int().min(400).max(599))
    .max(100)
    .default([502, 503, 504])
    .meta({
      title: 'a list of statuses',
      examples: [[500, 502, 503, 504]],
      description:
        'Statuses after which a request that may be repeated goes to the next server, as it does after a failed connection; the response of the last one is passed on.',
    }),
  slow_start: duration.prefault('10s').meta({
    description:
      'Time in which a server’s share of the requests grows from a tenth to all of its `weight`, after it was left out; 0s: at once.',
  }),
  host_header: z
    .string()
    .regex(/^(?:visitor|origin|[0-9A-Za-z.:[\]-]+)$/)
    .default('visitor')
    .meta({
      title: '`visitor`, `origin` or a host name',
      description:
        'Host that the origin sees: `visitor` (as the visitor sent it), `origin` (the server’s own), or a fixed name.',
    }),
  via: z
    .string()
    .max(255)
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/)
    .default('send')
    .meta({
      title: '`send`, `omit` or a name',
      examples: ['omit', 'cdn.example.com'],
      description:
        'Via in requests to the origin: `send` adds the network’s name, another word is added in its place, `omit` sends none. nginx compresses nothing for a request with Via unless `gzip_proxied` says so; loops are found without it, by CDN-Loop.',
    }),
  bare_lf: z.enum(['accept', 'refuse']).default('accept').meta({
    description:
      'Lines of a response’s header section that end with LF without CR: accepted, as nginx does (RFC 9112, 2.2), or refused with 502.',
  }),
  transfer_codings: z.enum(['chunked', 'any']).default('chunked').meta({
    description:
      'Transfer codings of responses: with `chunked` any other is refused with 502, as it would be stored for content; with `any` what comes until the connection closes is the content.',
  }),
  tls: z
    .strictObject({
      verify: z.boolean().default(true).meta({ description: 'Refuse an origin whose certificate does not verify.' }),
      ca_file: z
        .string()
        .optional()
        .meta({ description: 'PEM file with the authorities to trust instead of the system’s.' }),
      server_name: z
        .string()
        .optional()
        .meta({ description: 'Name to ask for (SNI) and to verify; by default the Host that the origin sees.' }),
    })
    .prefault({})
    .meta({ description: 'TLS towards https origins.' }),
  connect_timeout: timeout.prefault('5s').meta({
    description:
      'How long a connection to the origin may take, and how long a request may wait for one of `max_connections`.',
  }),
  first_byte_timeout: timeout
    .prefault('30s')
    .meta({ description: 'How long the origin may take until its response head; then 504.' }),
  idle_timeout: timeout
    .prefault('30s')
    .meta({ description: 'How long the origin may pause inside a body; then the response is aborted.' }),
  max_connections: z
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(256)
    .meta({ description: 'Connections to one origin server from one node; more requests wait.' }),
  concurrency: z.enum(['adaptive', 'fixed']).default('adaptive').meta({
    description:
      'Requests to one server at a time: `adaptive`, fewer than `max_connections` as long as a server that seems overloaded answers as many or more that way (see [overload](overload.md)); `fixed`, always `max_connections`.',
  }),
  max_waiting: z.number().int().min(0).max(1_000_000).default(10_000).meta({
    description:
      'Requests that may wait for a connection, each for `connect_timeout`, and for a fifth of that once none was free for as long; more are refused with 503.',
  }),
  max_waiting_size: positiveSize.prefault('64MiB').meta({
    description: 'Bytes of the header sections of requests that wait for a connection; more are refused with 503.',
  }),
  visitor_share: z.number().min(0.01).max(1).default(0.25).meta({
    description:
      'Largest part of `max_connections` and of `max_waiting` that one visitor (an IPv4 address, an IPv6 /64) may have, and less while others have some; 1: all of it.',
  }),
  min_read_rate: size.prefault('16KiB').meta({
    description:
      'Minimum rate in bytes per second for reading a response that is not stored: a slower visitor is disconnected while visitors with fewer connections wait for one; 0B: never.',
  }),
});

export type OriginConfig = z.output<typeof originSchema>;

/**
 * The one schema: it validates a region file and a site, yields every default,
 * and is what the JSON Schema for editors and the reference page are made from.
 *
 * Keys are as written in YAML. Durations are milliseconds and sizes are bytes
 * once parsed (config/units.ts).
 * @module
 */
import { z } from 'zod';
import { type DnsConfig, dnsSchema } from './dns/schema.ts';
import { clientAddressSchema, geoSchema, publicAddressesSchema } from './geo.ts';
import { address, FIELD_NAME, fileName, LABEL, nodeName, PORT, SECRET } from './scalars.ts';
import { GEO_KEYS, siteGeoSchema } from './site-geo.ts';
import { duration, positiveSize, size, timeout } from './units.ts';

const HOST = new RegExp(`^(?:\\*|(?:\\*\\.)?${LABEL}(?:\\.${LABEL})*|\\[[0-9a-f:]+\\])$`);
const ORIGIN_URL = new RegExp(`^https?://(?:\\[[0-9a-fA-F:.]+\\]|[0-9A-Za-z.-]+)(?::${PORT})?/?$`);

const fieldName = z
  .string()
  .regex(FIELD_NAME)
  .meta({ title: 'a header name', examples: ['X-Frame-Options'] });
const fieldValue = z
  .string()
  .max(8_192)
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/)
  .meta({ title: 'a header value without control characters', examples: ['DENY'] });
const hostName = z
  .string()
  .max(253)
  .regex(HOST)
  .meta({ title: 'a lower-case host name', examples: ['www.example.com', '*.example.com', '*'] });
const pathPattern = z
  .string()
  .max(1_024)
  .regex(/^\/[\x21-\x7e]*$/)
  .meta({ title: 'a path pattern', examples: ['/static/*', '/*.css'] });
const weight = z.number().int().min(1).max(100).default(1);

const statusPattern = z
  .union([z.number().int().min(200).max(599), z.enum(['2xx', '3xx', '4xx', '5xx'])])
  .meta({ title: 'a status', examples: [404, '5xx'] });

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
      }),
    )
    .min(1)
    .max(64)
    .meta({ description: 'The origin servers of the site; one that fails is left out for a while.' }),
  host_header: z
    .string()
    .regex(/^(?:visitor|origin|[0-9A-Za-z.:[\]-]+)$/)
    .default('visitor')
    .meta({
      title: '`visitor`, `origin` or a host name',
      description:
        'Host that the origin sees: `visitor` (as the visitor sent it), `origin` (the server’s own), or a fixed name.',
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
  connect_timeout: timeout.prefault('5s').meta({ description: 'How long a connection to the origin may take.' }),
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
  max_waiting: z
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(10_000)
    .meta({ description: 'Requests that may wait for a connection; more are refused with 503.' }),
});

export const ruleSchema = z.strictObject({
  path: z
    .union([pathPattern, z.array(pathPattern).min(1).max(100)])
    .optional()
    .meta({
      description: 'Path patterns; `*` stands for any characters. Absent: every path. Matched without the query.',
    }),
  status: z
    .union([statusPattern, z.array(statusPattern).min(1).max(100)])
    .optional()
    .meta({ description: 'Response statuses (404, or 5xx). Absent: every status.' }),
  cache: z
    .enum(['allow', 'never'])
    .default('allow')
    .meta({ description: '`never`: neither stored nor looked up nor collapsed.' }),
  origin_headers: z.enum(['honour', 'ignore']).default('honour').meta({
    description:
      '`ignore`: what the origin says about caching (Cache-Control, Expires, Pragma, targeted fields) does not count here; `ttl` decides.',
  }),
  ttl: duration.optional().meta({
    description: 'Lifetime in Seawall. With `honour` it is used where the origin gives none; with `ignore` always.',
  }),
  browser_ttl: duration
    .optional()
    .meta({ description: 'Lifetime told to browsers (Cache-Control: max-age) instead of the origin’s.' }),
  stale_while_revalidate: duration.optional().meta({
    description:
      'How long after its lifetime a response is served while it is being revalidated (RFC 5861), where the origin names no window.',
  }),
  stale_if_error: duration.optional().meta({
    description:
      'How long after its lifetime a response is served when the origin fails (RFC 5861), where the origin names no window.',
  }),
  set_cookie: z.enum(['refuse', 'store']).default('refuse').meta({
    description:
      'A response with Set-Cookie that does not say `public` or name a shared lifetime: refuse to store it, or store it all the same.',
  }),
  request_directives: z.enum(['ignore', 'honour']).default('ignore').meta({
    description:
      'Whether a visitor’s Cache-Control (no-cache, no-store, max-age, min-fresh, max-stale, only-if-cached) and Pragma count (RFC 9111, 5.2.1).',
  }),
});

const parameterName = z
  .string()
  .min(1)
  .meta({ title: 'a query parameter name', examples: ['page', 'utm_*'] });
const cookieName = z
  .string()
  .regex(FIELD_NAME)
  .meta({ title: 'a cookie name', examples: ['currency'] });

const keySchema = z.strictObject({
  host: z
    .string()
    .regex(/^[0-9a-z.-]+(?::\d{1,5})?$/, 'expected a lower-case host name, and its port if it is not the usual one')
    .optional()
    .meta({
      description:
        'The one host of the site, in the key and towards the origin, whichever of `hosts` the visitor asked for: they then share what is stored. Absent: each host and port has its own.',
    }),
  query: z
    .union([
      z.enum(['all', 'none']),
      z.strictObject({
        allow: z
          .array(parameterName)
          .min(1)
          .max(100)
          .meta({ description: 'The parameters that count; the others are dropped.' }),
      }),
      z.strictObject({
        deny: z.array(parameterName).min(1).max(100).meta({ description: 'The parameters that are dropped.' }),
      }),
    ])
    .default('all')
    .meta({
      description:
        'Query parameters in the key, and sent to the origin: `all`, `none`, only those in `allow`, or all but those in `deny`. A trailing `*` in a name stands for any ending.',
    }),
  sort_query: z
    .boolean()
    .default(false)
    .meta({ description: 'Sort parameters by name, so that their order makes no difference.' }),
  headers: z
    .array(fieldName)
    .max(16)
    .default([])
    .meta({ description: 'Request headers whose value is part of the key.' }),
  cookies: z.array(cookieName).max(16).default([]).meta({ description: 'Cookies whose value is part of the key.' }),
  geo: z.enum(GEO_KEYS).optional().meta({
    description: 'Visitors of each country, or continent, share what is stored for them and nothing else.',
  }),
});

const headerChangesSchema = z.strictObject({
  set: z.record(fieldName, fieldValue).default({}).meta({ description: 'Headers to set, replacing what was there.' }),
  remove: z.array(fieldName).max(100).default([]).meta({ description: 'Headers to remove.' }),
});

export const siteSchema = z.strictObject({
  name: nodeName.meta({ examples: ['shop'], description: 'Name of the site, in metrics and logs.' }),
  hosts: z
    .array(hostName)
    .min(1)
    .max(1_000)
    .meta({ description: 'Host names without port: exact, `*.example.com`, or `*` for any host.' }),
  origin: originSchema.meta({ description: 'Where the site’s own servers are, and how to talk to them.' }),
  tls: z
    .strictObject({
      cert_file: fileName.meta({
        title: 'a PEM file',
        examples: ['certificates/shop.pem'],
        description: 'PEM file with the certificate of these hosts, and after it those that sign it.',
      }),
      key_file: fileName.meta({
        title: 'a PEM file',
        examples: ['certificates/shop.key'],
        description: 'PEM file with the private key of the certificate.',
      }),
    })
    .optional()
    .meta({
      description:
        'The certificate that visitors of these hosts are shown at `listen_tls`; paths are relative to this file. Both files are read again when they change.',
    }),
  shields: z
    .array(nodeName)
    .min(1)
    .max(64)
    .optional()
    .meta({ description: 'The shields in front of this origin, by name; absent: every shield the region knows.' }),
  direct_to_origin: z
    .boolean()
    .default(true)
    .meta({ description: 'Whether an edge may ask the origin itself when no shield answers.' }),
  rules: z
    .array(ruleSchema)
    .max(1_000)
    .default([])
    .meta({ description: 'Cache rules; the first one whose path and status match counts.' }),
  key: keySchema.prefault({}).meta({ description: 'What makes two requests the same.' }),
  targeted_fields: z.array(fieldName).max(8).default(['CDN-Cache-Control', 'Surrogate-Control']).meta({
    description: 'Targeted cache control fields that count before Cache-Control, most important first (RFC 9213).',
  }),
  heuristic_fraction: z.number().min(0).max(1).default(0.1).meta({
    description:
      'Share of the time since Last-Modified that is guessed as lifetime when the origin names none (RFC 9111, 4.2.2).',
  }),
  heuristic_max: duration.prefault('1d').meta({ description: 'Longest lifetime that is guessed.' }),
  uncacheable_memory: duration
    .prefault('2m')
    .meta({ description: 'How long a key that turned out uncacheable is not collapsed.' }),
  max_object: size.prefault('1GiB').meta({
    description:
      'Largest body that is kept; a larger one streams through. It is also bounded by the memory of the node.',
  }),
  max_variants: z
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(32)
    .meta({ description: 'Responses kept for one key under Vary; the least recently used one goes.' }),
  max_request_body: size
    .prefault('100MiB')
    .meta({ description: 'Largest request body; a larger one is refused with 413.' }),
  tags: z
    .strictObject({
      fields: z
        .array(fieldName)
        .max(8)
        .default(['Cache-Tag', 'Surrogate-Key', 'xkey'])
        .meta({ description: 'Response headers that hold tags to purge by.' }),
      visible: z.boolean().default(false).meta({ description: 'Whether visitors see these headers.' }),
    })
    .prefault({})
    .meta({ description: 'Tags that the origin gives its responses.' }),
  purge_method: z
    .strictObject({
      from: z
        .array(z.string().min(1).max(64))
        .max(100)
        .default([])
        .meta({ description: 'Addresses and networks that may send PURGE.', examples: [['10.0.0.0/8']] }),
      token_sha256: z
        .array(z.string().regex(/^[0-9a-f]{64}$/, 'expected the SHA-256 of a token in 64 hexadecimal digits'))
        .max(100)
        .default([])
        .meta({
          title: 'a SHA-256 in hexadecimal',
          description: 'SHA-256 of tokens that PURGE must carry (`Authorization: Bearer …` or `X-Purge-Token`).',
          examples: [['9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08']],
        }),
    })
    .prefault({})
    .meta({
      description:
        'Who may purge with the method PURGE on the public listener: who is in `from` and has a token, as far as either names anybody. Nobody, if both are empty.',
    }),
  request_headers: headerChangesSchema
    .prefault({})
    .meta({ description: 'Changes to the request before the origin sees it.' }),
  response_headers: headerChangesSchema
    .prefault({})
    .meta({ description: 'Changes to the response before the visitor sees it.' }),
  cache_status: z.boolean().default(true).meta({ description: 'Whether visitors see Cache-Status (RFC 9211).' }),
  geo: siteGeoSchema.prefault({}).meta({ description: 'What the site does with where its visitors are.' }),
  redirect: z
    .strictObject({
      https: z.boolean().default(false).meta({ description: 'Send http requests to https.' }),
      host: z
        .string()
        .regex(new RegExp(`^${LABEL}(?:\\.${LABEL})*(?::${PORT})?$`))
        .optional()
        .meta({
          title: 'a host name without wildcard',
          examples: ['www.example.com'],
          description: 'Send requests for any other host of this site to this one.',
        }),
      status: z
        .union([z.literal(301), z.literal(302), z.literal(307), z.literal(308)])
        .default(308)
        .meta({ description: 'Status of the redirect.' }),
    })
    .prefault({})
    .meta({ description: 'Redirects that the edge answers itself.' }),
});

export const limitsSchema = z.strictObject({
  max_header: positiveSize
    .prefault('32KiB')
    .meta({ description: 'Bytes of a request’s header section; more is refused with 431.' }),
  max_headers: z
    .number()
    .int()
    .min(16)
    .max(2_000)
    .default(200)
    .meta({ description: 'Header lines of a request; more is refused with 431.' }),
  header_timeout: timeout
    .prefault('15s')
    .meta({ description: 'How long a request head may take to arrive; then 408.' }),
  handshake_timeout: timeout
    .prefault('10s')
    .meta({ description: 'How long a TLS handshake may take; then the connection is closed.' }),
  max_streams: z.number().int().min(1).max(1_000).default(128).meta({
    description: 'Requests that may be under way on one HTTP/2 connection; further ones are refused for now.',
  }),
  request_timeout: timeout
    .prefault('5m')
    .meta({ description: 'How long a whole request, with its body, may take to arrive; then 408.' }),
  keep_alive_timeout: timeout.prefault('65s').meta({ description: 'How long an idle connection is kept open.' }),
  write_timeout: timeout
    .prefault('60s')
    .meta({ description: 'How long a visitor may read nothing at all of a response; then the connection is closed.' }),
  max_connections: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .meta({ description: 'Open connections on one listener; more are closed at once.' }),
  fill_window: positiveSize.prefault('4MiB').meta({
    description: 'Bytes held for readers of a body that is not kept; a reader further behind continues on its own.',
  }),
  max_waiters: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(50_000)
    .meta({ description: 'Requests that may wait for one fill; more ask upstream themselves.' }),
  tier_connections: z
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(1_024)
    .meta({ description: 'Connections to one other node, kept open for the next request; more requests wait.' }),
  tier_waiting: z
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(50_000)
    .meta({ description: 'Requests that may wait for a connection to one other node; more go to the next one.' }),
  hot_after: z.number().int().min(1).max(1_000_000).default(16).meta({
    description: 'How often within ten seconds a key is asked for until an edge that does not own it keeps a copy.',
  }),
  drain_timeout: timeout
    .prefault('10s')
    .meta({ description: 'How long requests under way may take when the node stops.' }),
});

const listenerDescription = { description: 'HOST:PORT to listen on; port 0 takes a free one.' };
const tier = address.meta({
  description: 'HOST:PORT that other nodes reach this one at, and that it listens on for them.',
});
const control = address
  .optional()
  .meta({ description: 'HOST:PORT of the node’s own control listener (/metrics, /healthz).' });

export const edgeSchema = z.strictObject({
  name: nodeName.meta({ description: 'Name of the edge, unique in the network.' }),
  listen: address.meta(listenerDescription),
  listen_tls: address.optional().meta({
    description: 'HOST:PORT to listen on for TLS: HTTP/2 and HTTP/1.1, with the certificates of the sites.',
  }),
  public: publicAddressesSchema,
  tier,
  control,
  weight: weight.meta({ description: 'Share of the region’s keys relative to its other edges.' }),
  memory: positiveSize.optional().meta({
    description: 'Memory for stored responses, shared by its workers; by default the region’s.',
  }),
  workers: z.number().int().min(1).max(256).optional().meta({
    description:
      'Processes that share the edge’s work, its addresses and its memory; by default one for each core of the machine.',
  }),
});

export const shieldSchema = z.strictObject({
  name: nodeName.meta({ description: 'Name of the shield, unique in the network.' }),
  tier,
  control,
  weight: weight.meta({ description: 'Share of a site’s keys relative to its other shields.' }),
  memory: positiveSize.optional().meta({ description: 'Memory for stored responses; by default the region’s.' }),
});

/** What stands in `sites` in the place of a site that has its own file. */
export const includeSchema = z.strictObject({
  include: fileName.meta({
    title: 'a file that holds one site',
    examples: ['../sites/shop.yaml'],
    description: 'File that holds one site, relative to this file.',
  }),
});

export const regionSchema = z.strictObject({
  region: nodeName.meta({ examples: ['fra'], description: 'Name of the region.' }),
  network: nodeName
    .default('seawall')
    .meta({ description: 'Name of the network: its identifier in CDN-Loop (RFC 8586).' }),
  coordinates: z
    .tuple([z.number().min(-90).max(90), z.number().min(-180).max(180)])
    .optional()
    .meta({
      title: 'a latitude and a longitude',
      examples: [[50.11, 8.68]],
      description: 'Latitude and longitude in degrees.',
    }),
  geo: geoSchema.prefault({}).meta({ description: 'Where visitors are, and which of them come here.' }),
  tier_secret: z
    .string()
    .regex(SECRET)
    .meta({
      title: '16 to 256 printable characters without spaces, or an environment variable',
      examples: [`\${SEAWALL_TIER_SECRET}`],
      // A secret: never shown in a message.
      writeOnly: true,
      description: `What nodes prove to each other that they belong to the network; \`\${NAME}\` reads an environment variable.`,
    }),
  memory: positiveSize
    .prefault('256MiB')
    .meta({ description: 'Memory of each node for stored responses: bodies, headers and what an entry costs.' }),
  edges: z.array(edgeSchema).max(256).default([]).meta({ description: 'The edges of this region.' }),
  shields: z.array(shieldSchema).max(64).default([]).meta({ description: 'The shields that run in this region.' }),
  shields_from: z
    .array(fileName.meta({ title: 'a region file', examples: ['frankfurt.yaml'] }))
    .max(64)
    .default([])
    .meta({ description: 'Region files whose shields this region’s edges use, relative to this file.' }),
  control: z
    .strictObject({
      name: nodeName.default('control').meta({ description: 'Name of the control node, unique in the network.' }),
      listen: address.meta(listenerDescription),
      data: fileName.default('seawall-data').meta({
        title: 'a folder',
        examples: ['/var/lib/seawall'],
        description: 'Folder of the journal of purges, the tokens and the audit log, relative to this file.',
      }),
      retention: duration
        .prefault('30d')
        .meta({ description: 'How long a purge stays in the journal; what was stored before that is fetched anew.' }),
      max_records: z
        .number()
        .int()
        .min(1_000)
        .max(100_000_000)
        .default(1_000_000)
        .meta({ description: 'Purges that stay in the journal, and in the memory of nodes; beyond, the oldest go.' }),
      rate_limits: z
        .strictObject({
          calls: z
            .number()
            .int()
            .min(1)
            .max(1_000_000)
            .default(2_000)
            .meta({ description: 'Calls a second with one token; five seconds’ worth may come at once.' }),
          selectors: z
            .number()
            .int()
            .min(1)
            .max(1_000_000)
            .default(20_000)
            .meta({ description: 'URLs, tags, prefixes and hosts that one token may purge a second; likewise.' }),
        })
        .prefault({})
        .meta({ description: 'How fast one token may purge; more is refused with 429.' }),
      audit_log: z
        .strictObject({
          max_size: positiveSize
            .prefault('64MiB')
            .meta({ description: 'Size at which the file is set aside and a new one begun.' }),
          files: z
            .number()
            .int()
            .min(1)
            .max(1_000)
            .default(5)
            .meta({ description: 'Files that are kept, the one that is written to included.' }),
        })
        .prefault({})
        .meta({ description: 'The record of who purged what: audit.jsonl in the data folder.' }),
    })
    .optional()
    .meta({ description: 'The control node, if it runs in this region.' }),
  dns: dnsSchema.optional().meta({ description: 'The DNS server, if one runs in this region.' }),
  purges: z
    .strictObject({
      journal: z
        .string()
        .regex(/^http:\/\/(?:\[[0-9a-fA-F:]+\]|[0-9A-Za-z.-]+):\d{1,5}$/, 'expected http://HOST:PORT')
        .optional()
        .meta({
          title: 'http://HOST:PORT',
          description:
            'Where the control node is that keeps the journal of purges; by default this region’s own, if it has one.',
          examples: ['http://10.0.0.3:8900'],
        }),
      lease: duration.prefault('1m').meta({
        description:
          'How long a node that hears nothing of the journal goes on as before; then it revalidates everything before use.',
      }),
    })
    .prefault({})
    .meta({ description: 'How the nodes of this region hear of purges.' }),
  access_log: fileName.optional().meta({
    title: 'a file, or `-`',
    examples: ['/var/log/seawall/access.jsonl', '-'],
    description:
      'File to which each edge appends a line of JSON for each answer to a visitor, relative to this file; `-`: standard output. Who asked is what `client_address` and `trusted_proxies` let proxies say. It is opened anew at a reload. Absent: no access log.',
  }),
  trusted_proxies: z
    .array(
      z
        .string()
        .min(1)
        .meta({ title: 'an address or a CIDR block', examples: ['10.0.0.0/8', '192.0.2.7'] }),
    )
    .max(1_000)
    .default([])
    .meta({
      description:
        'Addresses or CIDR blocks of proxies in front of the edges that are believed about the address of a visitor, and about the scheme that it used.',
    }),
  client_address: clientAddressSchema,
  limits: limitsSchema.prefault({}).meta({ description: 'Bounds of every node in the region.' }),
  sites: z
    .array(z.union([includeSchema, siteSchema]))
    .min(1)
    .max(10_000)
    .meta({ description: 'The sites served here: written out, or included from a file of their own.' }),
});

export type { DnsConfig };
export type OriginConfig = z.output<typeof originSchema>;
export type RuleConfig = z.output<typeof ruleSchema>;
export type SiteConfig = z.output<typeof siteSchema>;
export type LimitsConfig = z.output<typeof limitsSchema>;
export type EdgeConfig = z.output<typeof edgeSchema>;
export type ShieldConfig = z.output<typeof shieldSchema>;

/** A region file with its includes resolved, as `config/load.ts` returns it. */
export interface RegionConfig extends Omit<z.output<typeof regionSchema>, 'sites'> {
  readonly file: string;
  readonly sites: readonly SiteConfig[];
  /** Every shield this region's edges may use: its own and those of `shields_from`. */
  readonly reachableShields: readonly ShieldConfig[];
}

/**
 * The schema of a site.
 * @module
 */
import { z } from 'zod';
import { fileName, LABEL, nodeName, PORT } from '../scalars.ts';
import { duration, positiveSize, size, timeout } from '../units.ts';
import { compressionSchema } from './compression.ts';
import { cookiePattern, SCRIPT_COOKIES } from './cookie.ts';
import { fieldName, headerChangesSchema, requestChangesSchema } from './field.ts';
import { keySchema } from './key.ts';
import { originSchema } from './origin.ts';
import { rateLimitSchema } from './rate-limit.ts';
import { ruleSchema } from './rule.ts';
import { siteGeoSchema } from './site-geo.ts';

const HOST = new RegExp(`^(?:\\*|(?:\\*\\.)?${LABEL}(?:\\.${LABEL})*|\\[[0-9a-f:]+\\])$`);

const hostName = z
  .string()
  .max(253)
  .regex(HOST)
  .meta({ title: 'a lower-case host name', examples: ['www.example.com', '*.example.com', '*'] });

export const siteSchema = z.strictObject({
  name: nodeName.meta({ examples: ['shop'], description: 'Name of the site, in metrics and logs.' }),
  hosts: z
    .array(hostName)
    .min(1)
    .max(1_000)
    .meta({ description: 'Host names without port: exact, `*.example.com`, or `*` for any host.' }),
  origin: originSchema.meta({ description: 'The site’s own servers, and how to connect to them.' }),
  tls: z
    .strictObject({
      cert_file: fileName.meta({
        title: 'a PEM file',
        examples: ['certificates/shop.pem'],
        description: 'PEM file with the certificate of these hosts, followed by its chain.',
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
        'Certificate for these hosts at `listen_tls`; paths are relative to this file. Changed files are reloaded.',
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
    .meta({ description: 'Whether an edge may contact the origin itself if no shield answers.' }),
  rules: z
    .array(ruleSchema)
    .max(1_000)
    .default([])
    .meta({ description: 'Cache rules; the first one whose path and status match is used.' }),
  rate_limits: z.array(rateLimitSchema).max(20).default([]).meta({
    description:
      'Limits of the requests that visitors may send in a time; further ones are answered with 429 (see [limits](limits.md#rate-limits)). A request counts for each limit that it fits.',
  }),
  ignored_cookies: z
    .array(cookiePattern)
    .max(500)
    .default([...SCRIPT_COOKIES])
    .meta({
      description:
        'Cookies that do not make a request personal, because only scripts in the browser read them; they are removed from requests whose response may be shared. A trailing `*` in a name matches any ending. A list here replaces the whole default.',
    }),
  key: keySchema
    .prefault({})
    .meta({ description: 'The cache key: the parts of a request that select a stored response.' }),
  targeted_fields: z.array(fieldName).max(8).default(['CDN-Cache-Control', 'Surrogate-Control']).meta({
    description: 'Targeted cache control fields that override Cache-Control, in order of precedence (RFC 9213).',
  }),
  heuristic_fraction: z.number().min(0).max(1).default(0.1).meta({
    description:
      'Heuristic lifetime as a share of the time since Last-Modified, for responses without an explicit one (RFC 9111, 4.2.2).',
  }),
  heuristic_max: duration.prefault('1d').meta({ description: 'Maximum heuristic lifetime.' }),
  heuristic_max_error: duration.prefault('2m').meta({
    description:
      'Maximum heuristic lifetime of errors: 404, 405, 410, 414, 501, and any status from 400 on with `public`.',
  }),
  hit_for_miss_ttl: duration.prefault('2m').meta({
    description:
      'Hit-for-miss: time that a key is remembered as uncacheable after a response that could not be shared. Each such response allows one more concurrent request upstream for the key, an error a quarter.',
  }),
  stale_after: timeout.prefault('1s').meta({
    description:
      'Time that requests for a stored response wait for the origin while the response may be served in its place (`stale_if_error`, or the origin’s `stale-if-error`); then it is, and the origin’s answer is stored when it comes.',
  }),
  max_object: size.prefault('1GiB').meta({
    description:
      'Largest body to store in one piece; larger ones are streamed through, unless they are stored in chunks (`chunk_above`). The memory of the node limits it as well.',
  }),
  chunk_above: z
    .union([z.literal('never'), positiveSize])
    .prefault('8MiB')
    .meta({
      title: 'a size above 0B, or `never`',
      examples: ['8MiB', 'never'],
      description:
        'Responses that are larger than this are stored in chunks of 1 MiB, of which only those are fetched that visitors ask for. The origin has to answer ranges and to send a strong `ETag`. `never`, or a size above `max_object`: none are.',
    }),
  max_variants: z.number().int().min(1).max(1_000).default(32).meta({
    description:
      'Maximum number of stored variants (Vary) per key; beyond it the least recently stored one is dropped.',
  }),
  max_request_body: size
    .prefault('100MiB')
    .meta({ description: 'Largest request body; a larger one is refused with 413.' }),
  request_buffering: z.boolean().default(true).meta({
    description:
      'Whether request bodies are spooled (`spool`) before the request goes to the origin, so that a slow visitor does not occupy a connection to it; `false` forwards them as they arrive.',
  }),
  compression: compressionSchema.optional().meta({
    description:
      'Encoding of what the origin sends plain (see [compression](compression.md)); `{}` for the defaults. Absent: off.',
  }),
  tags: z
    .strictObject({
      fields: z
        .array(fieldName)
        .max(8)
        .default(['Cache-Tag', 'Surrogate-Key', 'xkey'])
        .meta({ description: 'Response headers with tags to purge by.' }),
      visible: z.boolean().default(false).meta({ description: 'Whether visitors see these headers.' }),
    })
    .prefault({})
    .meta({ description: 'Tags of responses, set by the origin.' }),
  purge_method: z
    .strictObject({
      from: z
        .array(z.string().min(1).max(64))
        .max(100)
        .default([])
        .meta({ description: 'Addresses and networks that may send PURGE.', examples: [['10.0.0.9']] }),
      token_sha256: z
        .array(z.string().regex(/^[0-9a-f]{64}$/, 'expected the SHA-256 of a token in 64 hexadecimal digits'))
        .max(100)
        .default([])
        .meta({
          title: 'a SHA-256 in hexadecimal',
          description: 'SHA-256 of tokens that PURGE must carry (`Authorization: Bearer …` or `X-Purge-Token`).',
          examples: [['39d730645bffa8690d0487f8bea7606ef6d1568e376878ab5ca88427747ef989']],
        }),
    })
    .prefault({})
    .meta({
      description:
        'Access to the method PURGE on the public listener: clients must match `from` and have a token, as far as each is configured. If both are empty, PURGE is off.',
    }),
  request_headers: requestChangesSchema
    .prefault({})
    .meta({ description: 'Changes to the request before the origin sees it.' }),
  response_headers: headerChangesSchema
    .prefault({})
    .meta({ description: 'Changes to the response before the visitor sees it.' }),
  cache_status: z.boolean().default(true).meta({ description: 'Whether visitors see Cache-Status (RFC 9211).' }),
  geo: siteGeoSchema.prefault({}).meta({ description: 'Use of the visitors’ location at this site.' }),
  methods: z.enum(['known', 'any']).default('known').meta({
    description:
      'Request methods to forward: `known` (those of HTTP, WebDAV and UPnP; others get 501), or `any` token. CONNECT and TRACE never pass.',
  }),
  dot_segments: z.enum(['refuse', 'resolve']).default('refuse').meta({
    description:
      'Treatment of `.` and `..` in a path: refuse the request with 400, or resolve the path as browsers do. Dots behind an escaped slash or before a `;` are always refused.',
  }),
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

export type SiteConfig = z.output<typeof siteSchema>;

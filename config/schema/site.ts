/**
 * The schema of a site.
 * @module
 */
import { z } from 'zod';
import { fileName, LABEL, nodeName, PORT } from '../scalars.ts';
import { duration, size } from '../units.ts';
import { cookiePattern, SCRIPT_COOKIES } from './cookie.ts';
import { fieldName, headerChangesSchema, requestChangesSchema } from './field.ts';
import { keySchema } from './key.ts';
import { originSchema } from './origin.ts';
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
  ignored_cookies: z
    .array(cookiePattern)
    .max(500)
    .default([...SCRIPT_COOKIES])
    .meta({
      description:
        'Cookies that do not make a request personal, as only scripts in the browser read them; the origin does not see them in requests whose answer may be for all. A trailing `*` in a name stands for any ending. A list here takes the place of the whole default.',
    }),
  key: keySchema.prefault({}).meta({ description: 'What makes two requests the same.' }),
  targeted_fields: z.array(fieldName).max(8).default(['CDN-Cache-Control', 'Surrogate-Control']).meta({
    description: 'Targeted cache control fields that count before Cache-Control, most important first (RFC 9213).',
  }),
  heuristic_fraction: z.number().min(0).max(1).default(0.1).meta({
    description:
      'Share of the time since Last-Modified that is guessed as lifetime when the origin names none (RFC 9111, 4.2.2).',
  }),
  heuristic_max: duration.prefault('1d').meta({ description: 'Longest lifetime that is guessed.' }),
  heuristic_max_error: duration.prefault('2m').meta({
    description:
      'Longest lifetime that is guessed for 404, 405, 410, 414, 501, and for `public` with any status from 400 on.',
  }),
  hit_for_miss_ttl: duration.prefault('2m').meta({
    description:
      'Time for which a response that nobody else may have is remembered: each lets one more request of its key go upstream at a time, an error a quarter (hit-for-miss).',
  }),
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
    .meta({ description: 'Responses kept for one key under Vary; of more, the least recently stored one goes.' }),
  max_request_body: size
    .prefault('100MiB')
    .meta({ description: 'Largest request body; a larger one is refused with 413.' }),
  request_buffering: z.boolean().default(true).meta({
    description:
      'Whether a request body is taken until it is whole (`spool`) before the origin is asked, so that a slow visitor does not keep a connection to it busy; with `false` it is sent on as it arrives.',
  }),
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
        'Who may purge with the method PURGE on the public listener: who is in `from` and has a token, as far as either names anybody. Nobody, if both are empty.',
    }),
  request_headers: requestChangesSchema
    .prefault({})
    .meta({ description: 'Changes to the request before the origin sees it.' }),
  response_headers: headerChangesSchema
    .prefault({})
    .meta({ description: 'Changes to the response before the visitor sees it.' }),
  cache_status: z.boolean().default(true).meta({ description: 'Whether visitors see Cache-Status (RFC 9211).' }),
  geo: siteGeoSchema.prefault({}).meta({ description: 'What the site does with where its visitors are.' }),
  methods: z.enum(['known', 'any']).default('known').meta({
    description:
      'Request methods that pass: `known` (those of HTTP, WebDAV and UPnP; others get 501), or `any` token. CONNECT and TRACE never pass.',
  }),
  dot_segments: z.enum(['refuse', 'resolve']).default('refuse').meta({
    description:
      'What becomes of `.` and `..` in a path: the request is refused with 400, or the path is resolved as browsers do. Dots behind an escaped slash or before a `;` are always refused.',
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

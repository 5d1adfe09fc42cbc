/**
 * The schema of `access_log`: where lines go, in which form, and what they say.
 * @module
 */
import { z } from 'zod';
import { fileName } from '../scalars.ts';
import { SYSLOG } from '../syslog-address.ts';

/** Fields that a line may have besides those that it always has, with their meanings. */
export const ACCESS_FIELD_MEANINGS = {
  user_agent: 'User-Agent of the request.',
  referer: 'Referer of the request.',
  scheme: '`http` or `https`, as the visitor asked.',
  protocol: '`HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.',
  tls: 'Version of TLS on the connection, such as `TLSv1.3`.',
  country: 'Country of the visitor: two letters, by the databases of `geo`.',
  cache_status:
    'What each tier did, the nearest to the origin first: Cache-Status (RFC 9211), also where the site hides it.',
  head_ms: 'Milliseconds until the head of the answer was there. Of a miss: what the tiers above and the origin took.',
  origin_status: 'Status of the answer of the origin, where it was asked for this request.',
  origin_bytes:
    'Bytes of the body that the origin sent for this request, as far as its head says: 0 for a 304; absent where it was not asked.',
  trace_id: 'Trace id of the request’s `traceparent` (W3C Trace Context).',
  content_type: 'Media type of the response.',
  purge: 'Number of the newest purge that had named what was stored, where that is why the request is no hit.',
  replay:
    'What `seawall replay` needs: `scheme`, `cache_status`, `purge`, `key` (a hash of the cache key), `length`, the response fields that decide on storing, and of the request its cookies and Authorization as hashes, Range, and the fields that the key or Vary names.',
} as const;

export type AccessField = keyof typeof ACCESS_FIELD_MEANINGS;

export const ACCESS_FIELDS = Object.keys(ACCESS_FIELD_MEANINGS) as readonly AccessField[];

export const ACCESS_FORMATS = ['json', 'combined', 'w3c'] as const;

const target = fileName.regex(new RegExp(`^(?!syslog\\+)|${SYSLOG.source}`)).meta({
  title: 'a file, `-`, or the address of a syslog server',
  examples: ['/var/log/seawall/access.jsonl', '-', 'syslog+udp://10.0.0.9:514'],
});

const full = z.strictObject({
  to: target.meta({
    description:
      'A file to append to, relative to this file; `-`: standard output; `syslog+udp://HOST:PORT`, `syslog+tcp://HOST:PORT` or `syslog+unix:PATH` (a stream socket): messages of RFC 5424.',
  }),
  format: z.enum(ACCESS_FORMATS).default('json').meta({
    description:
      'Form of a line: `json`; `combined`, as Apache and nginx write it, with further fields in quotes; or `w3c`, the Extended Log File Format.',
  }),
  fields: z
    .array(z.enum(ACCESS_FIELDS as [AccessField, ...AccessField[]]))
    .max(50)
    .default([])
    .meta({
      examples: [['user_agent', 'cache_status', 'origin_bytes']],
      description:
        'Fields besides time, ip, method, host, target, status, bytes, ms, site, result and id; the page [logs](logs.md) says what each is. `replay` is written in JSON only.',
    }),
  sample: z.number().min(0.0001).max(1).default(1).meta({
    description: 'Share of the answers that have a line, by chance; JSON lines say it, and reports allow for it.',
  }),
});

export type AccessLogConfig = z.output<typeof full>;

export const accessLogSchema = z
  .union([target, full])
  .transform((given): AccessLogConfig => (typeof given === 'string' ? full.parse({ to: given }) : given));

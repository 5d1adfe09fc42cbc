/**
 * The schema of a cache rule.
 * @module
 */
import { z } from 'zod';
import { duration } from '../units.ts';

const pathPattern = z
  .string()
  .max(1_024)
  .regex(/^\/[\x21-\x7e]*$/)
  .meta({ title: 'a path pattern', examples: ['/static/*', '/*.css'] });

const statusPattern = z
  .union([z.number().int().min(200).max(599), z.enum(['2xx', '3xx', '4xx', '5xx'])])
  .meta({ title: 'a status', examples: [404, '5xx'] });

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

export type RuleConfig = z.output<typeof ruleSchema>;

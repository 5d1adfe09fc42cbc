/**
 * The schema of a cache rule.
 * @module
 */
import { z } from 'zod';
import { duration } from '../units.ts';
import { cookiePattern } from './cookie.ts';

export const pathPattern: z.ZodString = z
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
      description:
        'Path patterns; `*` matches any characters. Absent: every path. The query is ignored, and paths are normalised first: escapes decoded, capitals as small letters, `//` as `/`, without parameters after `;` (docs/shared-answers.md).',
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
    description:
      'Lifetime in Seawall. With `honour` it is used where the origin gives none; with `ignore` always. Without `status` it is for 2xx, 301 and 308 only.',
  }),
  browser_ttl: duration.optional().meta({
    description:
      'Lifetime for browsers (Cache-Control: max-age) in place of the origin’s. Without `status` it is for 2xx, 301 and 308 only.',
  }),
  stale_while_revalidate: duration.optional().meta({
    description:
      'Time after its lifetime in which a response is served while it is being revalidated (RFC 5861), unless the origin sets a window. A response without a lifetime has no window.',
  }),
  stale_if_error: duration.optional().meta({
    description:
      'Time after its lifetime in which a response is served if the origin fails (RFC 5861), unless the origin sets a window. A response without a lifetime has no window.',
  }),
  cookies: z
    .union([
      z.enum(['bypass', 'ignore', 'key']),
      z.strictObject({
        bypass: z
          .array(cookiePattern)
          .min(1)
          .max(100)
          .meta({
            description: 'The cookies that make a request personal here; others do not count.',
            examples: [['wordpress_logged_in_*', 'wp-postpass_*']],
          }),
      }),
    ])
    .optional()
    .meta({
      description:
        '`bypass`: the `ttl` and the windows of a rule are for requests without cookies; what the origin itself declares shareable is for all. `ignore`: cookies do not count. `key`: each set of cookies has its own copy. Default: `ignore` where every path ends in an extension of static files, else `bypass` (docs/shared-answers.md).',
    }),
  type_guard: z.boolean().optional().meta({
    description:
      'Whether the rule counts only for responses whose Content-Type fits the extension of the path, such as `text/css` for `.css`. Default: true where every path ends in an extension of static files, else false.',
  }),
  set_cookie: z.enum(['refuse', 'store']).default('refuse').meta({
    description:
      'A response with Set-Cookie that does not say `public` or name a shared lifetime: refuse to store it, or store it all the same.',
  }),
  request_directives: z.enum(['ignore', 'honour']).default('ignore').meta({
    description:
      'Whether a visitor’s Cache-Control (no-cache, no-store, max-age, min-fresh, max-stale, only-if-cached) and Pragma are honoured (RFC 9111, 5.2.1).',
  }),
});

export type RuleConfig = z.output<typeof ruleSchema>;

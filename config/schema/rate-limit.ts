/**
 * The schema of a rate limit.
 * @module
 */
import { z } from 'zod';
import { duration } from '../units.ts';
import { fieldName } from './field.ts';
import { pathPattern } from './rule.ts';

export const rateLimitSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/)
    .meta({
      title: 'lower-case letters, digits and hyphens, at most 32',
      examples: ['login'],
      description: 'Name of the limit, in 429 responses, metrics and logs.',
    }),
  path: z
    .union([pathPattern, z.array(pathPattern).min(1).max(100)])
    .optional()
    .meta({ description: 'Path patterns, as in `rules`. Absent: every path.' }),
  methods: z
    .array(z.string().regex(/^[A-Z][A-Z-]{0,19}$/))
    .min(1)
    .max(20)
    .optional()
    .meta({ title: 'a list of methods', examples: [['POST']], description: 'Request methods. Absent: every method.' }),
  by: z
    .union([
      z.enum(['address', 'network', 'everyone']),
      z.strictObject({
        header: fieldName.meta({
          examples: ['X-Api-Key'],
          description: 'Request header; requests without it count by their address.',
        }),
      }),
    ])
    .default('address')
    .meta({
      description:
        'Requests that count together: those of one `address` (IPv4, or an IPv6 /64), of one `network` (IPv4 /24, IPv6 /48), of `everyone`, or with one value of a header. A visitor may invent values of a header: limit by address as well.',
    }),
  requests: z.number().int().min(1).max(1_000_000).meta({
    description: 'Requests that may come at once, and within `per` in the long run.',
  }),
  per: duration
    .refine((ms) => ms >= 1_000, 'expected a second or more')
    .meta({ description: 'Time in which as many `requests` become free again.', examples: ['1m'] }),
  action: z.enum(['refuse', 'log']).default('refuse').meta({
    description: 'Treatment of further requests: 429, or only counted and logged.',
  }),
});

export type RateLimitConfig = z.output<typeof rateLimitSchema>;

/**
 * The schema of what makes two requests the same.
 * @module
 */
import { z } from 'zod';
import { GEO_KEYS } from '../visitor-facts.ts';
import { cookiePattern } from './cookie.ts';
import { fieldName } from './field.ts';

const parameterName = z
  .string()
  .min(1)
  .meta({ title: 'a query parameter name', examples: ['page', 'utm_*'] });

export const keySchema = z.strictObject({
  host: z
    .string()
    .regex(/^[0-9a-z.-]+(?::\d{1,5})?$/, 'expected a lower-case host name, and its port if it is not the usual one')
    .optional()
    .meta({
      description:
        'Canonical host in the cache key and for the origin, for all of `hosts`, which then share stored responses. Absent: each host and port has its own.',
    }),
  query: z
    .union([
      z.enum(['all', 'none']),
      z.strictObject({
        allow: z
          .array(parameterName)
          .min(1)
          .max(100)
          .meta({ description: 'Parameters to keep; the others are dropped.' }),
      }),
      z.strictObject({
        deny: z.array(parameterName).min(1).max(100).meta({ description: 'Parameters to drop.' }),
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
    .meta({ description: 'Sort parameters by name, so that their order does not matter.' }),
  headers: z
    .array(fieldName)
    .max(16)
    .default([])
    .meta({ description: 'Request headers whose values are part of the key.' }),
  cookies: z.array(cookiePattern).max(16).default([]).meta({
    description: 'Cookies that are part of the key, by name and value. A trailing `*` in a name stands for any ending.',
  }),
  geo: z.enum(GEO_KEYS).optional().meta({
    description: 'Store separate responses for each country, or continent, of visitors.',
  }),
});

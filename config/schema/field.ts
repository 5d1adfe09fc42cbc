/**
 * Header fields as they stand in a config file.
 * @module
 */
import { z } from 'zod';
import { FIELD_NAME } from '../scalars.ts';

export const fieldName = z
  .string()
  .regex(FIELD_NAME)
  .meta({ title: 'a header name', examples: ['X-Frame-Options'] });

const fieldValue = z
  .string()
  .max(8_192)
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/)
  .meta({ title: 'a header value without control characters', examples: ['DENY'] });

export const headerChangesSchema = z.strictObject({
  set: z.record(fieldName, fieldValue).default({}).meta({ description: 'Headers to set, replacing what was there.' }),
  remove: z.array(fieldName).max(100).default([]).meta({ description: 'Headers to remove.' }),
});

export const requestChangesSchema = headerChangesSchema.extend({
  allow: z
    .array(fieldName)
    .max(32)
    .default([])
    .meta({
      examples: [['X-HTTP-Method-Override']],
      description:
        'Request headers that are forwarded although Seawall drops them by default: method overrides, and names with other characters than letters, digits and hyphens. A GET or HEAD that carries one passes the cache. Headers that say who the visitor is, or which scheme, host or path is meant, cannot be allowed.',
    }),
});

/**
 * Scalar types that more than one part of the schema has.
 * @module
 */
import { z } from 'zod';

// No two parts of these patterns can take the same character, so that matching is linear in the length of a value.
export const LABEL = '[a-z0-9]+(?:-+[a-z0-9]+)*';
export const PORT = '(?:6553[0-5]|655[0-2]\\d|65[0-4]\\d{2}|6[0-4]\\d{3}|[1-5]\\d{4}|\\d{1,4})';
const ADDRESS = new RegExp(`^(?:\\[[0-9a-fA-F:.]+\\]|[0-9A-Za-z.-]+):${PORT}$`);
const NODE_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** A secret itself, or `${NAME}` of the environment variable that holds it. */
export const SECRET = /^(?:\$\{[A-Za-z_][A-Za-z0-9_]*\}|[\x21-\x7e]{16,256})$/;

export const nodeName = z
  .string()
  .regex(NODE_NAME)
  .meta({ title: 'a name of lower-case letters, digits and hyphens', examples: ['fra-1'] });
export const address = z
  .string()
  .regex(ADDRESS)
  .meta({ title: 'HOST:PORT', examples: ['127.0.0.1:8080', '[::1]:8080'] });
/** A field name of HTTP (RFC 9110, section 5.1). */
export const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
export const countryCode = z
  .string()
  .regex(/^[A-Z]{2}$/)
  .meta({ title: 'a country code of two capitals (ISO 3166-1)', examples: ['DE'] });
export const continentCode = z.enum(['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA']);
export const fileName = z.string().min(1).max(4_096);

/**
 * The schema of a site's compression.
 * @module
 */
import { z } from 'zod';
import { size, sizeLike } from '../units.ts';

/** Types that are worth it: text, and what is as repetitive as text. Images, sound, video and archives are not. */
const TYPES = [
  'text/*',
  'application/atom+xml',
  'application/geo+json',
  'application/graphql-response+json',
  'application/javascript',
  'application/json',
  'application/ld+json',
  'application/manifest+json',
  'application/problem+json',
  'application/rss+xml',
  'application/vnd.api+json',
  'application/vnd.ms-fontobject',
  'application/wasm',
  'application/x-javascript',
  'application/xhtml+xml',
  'application/xml',
  'font/otf',
  'font/ttf',
  'image/bmp',
  'image/svg+xml',
  'image/vnd.microsoft.icon',
  'image/x-icon',
] as const;

/** Memory of the thread that encodes grows with it. */
const MAX_BYTES = 8 * 1024 * 1024;

const CODING_NAMES = ['br', 'zstd', 'gzip'] as const;

const mediaType = z
  .string()
  .max(100)
  .regex(/^[a-z0-9!#$&^_.+-]+\/(?:\*|[a-z0-9!#$&^_.+-]+)$/)
  .meta({ title: 'a media type in small letters, or a kind such as `text/*`', examples: ['application/json'] });

export const compressionSchema = z.strictObject({
  codings: z
    .array(z.enum(CODING_NAMES))
    .min(1)
    .max(3)
    .default([...CODING_NAMES])
    .meta({
      description: 'Codings to offer; of those that a visitor accepts equally, the first one here is sent.',
    }),
  types: z
    .array(mediaType)
    .min(1)
    .max(100)
    .default([...TYPES])
    .meta({ description: 'Content types to encode. A list here replaces the whole default.' }),
  min_size: size.prefault('256B').meta({ description: 'Smallest body to encode.' }),
  max_size: sizeLike('1MiB').pipe(z.number().min(1).max(MAX_BYTES)).prefault('4MiB').meta({
    title: 'a size above 0B, up to 8MiB',
    description: 'Largest body to encode; what is stored in chunks (`chunk_above`) never is.',
  }),
});

export type CompressionConfig = z.output<typeof compressionSchema>;

/**
 * Compression of a site, prepared for matching.
 * @module
 */
import type { CompressionConfig } from './schema/compression.ts';

export interface CompiledCompression {
  readonly codings: CompressionConfig['codings'];
  /** Returns whether a body of so many bytes is encoded. */
  fitsSize(bytes: number): boolean;
  /** Returns whether responses of this Content-Type are encoded. */
  fitsType(contentType: string | undefined): boolean;
}

export function compileCompression(config: CompressionConfig): CompiledCompression {
  const { codings, min_size: min, max_size: max } = config;
  const types = new Set(config.types.filter((type) => !type.endsWith('/*')));
  const kinds = new Set(config.types.filter((type) => type.endsWith('/*')).map((type) => type.slice(0, -1)));
  return {
    codings,
    fitsSize: (bytes) => bytes >= min && bytes <= max,
    fitsType(contentType) {
      const [type = ''] = (contentType ?? '').split(';', 1);
      const name = type.trim().toLowerCase();
      return types.has(name) || kinds.has(name.slice(0, name.indexOf('/') + 1));
    },
  };
}

/**
 * The schema as JSON Schema: for editors, for the reference page, and for the
 * plain words in which a wrong value is refused.
 * @module
 */
import { z } from 'zod';
import { includeSchema, regionSchema, siteSchema } from './schema.ts';

/** Subset of JSON Schema (draft 7) that Seawall's schema uses. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean';
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: JsonSchema | readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly propertyNames?: JsonSchema;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  /** The value is a secret: messages do not show it. */
  readonly writeOnly?: boolean;
}

/** Schema of a region file. */
export const regionJsonSchema = once(() => ({ title: 'Seawall region', ...toJsonSchema(regionSchema) }));

/** Schema of a site file. */
export const siteJsonSchema = once(() => ({ title: 'Seawall site', ...toJsonSchema(siteSchema) }));

/** Schema of an entry of `sites` that includes a file. */
export const includeJsonSchema = once(() => toJsonSchema(includeSchema));

function toJsonSchema(schema: z.ZodType): JsonSchema {
  // Editors read draft 7 best, and see what is written: `30s`, not milliseconds.
  return z.toJSONSchema(schema, { io: 'input', target: 'draft-7' }) as JsonSchema;
}

/** Makes a schema on first use: it takes milliseconds, and only errors and the reference page need it. */
function once(make: () => JsonSchema): () => JsonSchema {
  let made: JsonSchema | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

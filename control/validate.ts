/**
 * Holds a part of a request against its schema, and says what is wrong with
 * it in the words of the config.
 * @module
 */
import { z } from 'zod';
import type { Source } from '../config/document.ts';
import { problemsOf } from '../config/issues.ts';
import type { JsonSchema } from '../config/json-schema.ts';
import type { ConfigProblem, KeyPath } from '../config/problem.ts';
import { ApiError, type FieldProblem, jsonPointer } from './errors.ts';

/** @throws {ApiError} `invalid_request` that names each field. */
export function validBody<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  return valid(schema, value, (pointer, problem) => ({ pointer, ...problem }));
}

/** @throws {ApiError} `invalid_request` that names each parameter. */
export function validQuery<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  return valid(schema, value, (pointer, problem) => ({ parameter: pointer.slice(1), ...problem }));
}

function valid<S extends z.ZodType>(
  schema: S,
  value: unknown,
  fieldProblem: (pointer: string, problem: { detail: string; fix: string }) => FieldProblem,
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { definitions, ...root } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' });
  // A schema with an id is made as a reference to itself.
  const jsonSchema = ((definitions as Record<string, unknown>)?.[schema.meta()?.id ?? ''] ?? root) as JsonSchema;
  const problems = problemsOf(result.error.issues, { value, schema, jsonSchema, source: POINTERS });
  throw new ApiError('invalid_request', {
    errors: problems.map(({ key, message, fix }) => fieldProblem(key, { detail: message, fix })),
  });
}

/** Places of problems as JSON Pointers. */
const POINTERS: Source = {
  file: '',
  problem: (path, message, fix) => pointed(path, message, fix),
  keyProblem: (path, message, fix) => pointed(path, message, fix),
  within: () => POINTERS,
};

function pointed(path: KeyPath, message: string, fix: string): ConfigProblem {
  return { file: '', line: 0, column: 0, key: jsonPointer(path), message, fix };
}

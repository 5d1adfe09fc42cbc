/**
 * Check of a suggestion against the schema of the key that it is for: what is offered as a fix must not be refused.
 * @module
 */
import type { z } from 'zod';
import type { KeyPath } from './problem.ts';

type Schema = z.core.$ZodType;

/** Returns whether `schema` takes `value` at `path`; false also where it has nothing at that place. */
export function accepts(schema: Schema, path: KeyPath, value: unknown): boolean {
  const [step, ...rest] = path;
  if (step === undefined) return (schema as z.ZodType).safeParse(value).success;
  return within(schema, step).some((inner) => accepts(inner, rest, value));
}

/** The schemas of what stands at `step`: one, or one for each form that the whole may have. */
function within(schema: Schema, step: string | number): readonly Schema[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object':
      return Object.hasOwn(def.shape, step) ? [def.shape[step] as Schema] : [];
    case 'record':
      return [def.valueType];
    case 'array':
      return [def.element];
    case 'tuple':
      return [def.items[Number(step)] ?? def.rest ?? []].flat();
    case 'union':
      return def.options.flatMap((option) => within(option, step));
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'readonly':
      return within(def.innerType, step);
    case 'pipe':
      return within(def.in, step);
    default:
      return [];
  }
}

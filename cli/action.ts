/**
 * First argument of commands that have several actions.
 * @module
 */
import { nearest } from '../config/nearest.ts';
import { quote } from '../config/problem.ts';
import { UsageError } from './failure.ts';

/**
 * @returns The action that the argument names.
 * @throws {UsageError} if it names none.
 */
export function actionOf<Action extends string>(actions: readonly Action[], argument: string | undefined): Action {
  const found = actions.find((action) => action === argument);
  if (found !== undefined) return found;
  const what = argument === undefined ? 'it is not said what to do' : `there is no action ${quote(argument)}`;
  const near = argument === undefined ? undefined : nearest(argument, actions);
  throw new UsageError(what, near ? `Did you mean ${near}?` : `The actions are ${actions.join(', ')}.`);
}

import { test } from 'tap';
import { actionOf } from '../../cli/action.ts';

const ACTIONS = ['create', 'list'] as const;

test('an action is named in full; a slip is told what is near, anything else what there is', async (t) => {
  t.equal(actionOf(ACTIONS, 'list'), 'list');
  const fix = 'The actions are create, list.';
  t.throws(() => actionOf(ACTIONS, undefined), { message: 'it is not said what to do', fix });
  t.throws(() => actionOf(ACTIONS, 'zzzzzz'), { message: 'there is no action "zzzzzz"', fix });
  t.throws(() => actionOf(ACTIONS, 'crate'), { message: 'there is no action "crate"', fix: 'Did you mean create?' });
});

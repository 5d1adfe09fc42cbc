import { test } from 'tap';
import { DEFAULT_RULE } from '../../config/default-rule.ts';
import { ruleSchema } from '../../config/schema.ts';

test('the rule where none matches has every default of the schema', async (t) => {
  t.strictSame(DEFAULT_RULE, ruleSchema.parse({}));
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { NODE_FLAGS } from '../../cli/node-flags.ts';

test('npm run seawall starts Node with the same flags as the demo network', async (t) => {
  const { scripts } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
  t.equal(scripts.seawall, ['node', ...NODE_FLAGS, 'cli/seawall.ts'].join(' '));
});

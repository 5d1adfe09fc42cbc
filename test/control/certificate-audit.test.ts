/** Changes of what a control node trusts, in the audit log. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'tap';
import { openDataFolder } from '../../control/data-folder.ts';
import { startControl } from '../../control/node.ts';
import { makeTrust } from '../support/trust.ts';
import { log, regionOf } from './control.ts';

test('another list of revocations and other authorities are in the audit log', async (t) => {
  const root = t.testdir();
  const trust = makeTrust(root);
  trust.issue('control', 'control', 'eu');
  trust.issue('edge', 'eu-1', 'eu');
  const file = join(root, 'eu.yaml');
  const parsed = regionOf({ file, control: { tier: '127.0.0.1:0' } });
  const region = { ...parsed, tier_tls: trust.tierTls };
  const control = await startControl({ region, control: region.control, regions: [region], log });
  t.teardown(() => control.close());
  const { audit } = openDataFolder(file, region.control);
  const entries = (action: string): { sha256: string; before: string }[] =>
    readFileSync(audit, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
      .filter((entry) => entry.action === action);
  const digest = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(trust.folder, name)))
      .digest('hex');
  const [list, authorities] = [digest('revoked.pem'), digest('ca.pem')];

  trust.authority.revoke('eu-1');
  trust.publish();
  control.reload([region]);
  while (entries('revocation list').length === 0) await turn();
  t.match(entries('revocation list'), [{ sha256: digest('revoked.pem'), before: list }]);
  t.same(entries('authorities'), []);

  trust.authority.renewAuthority(1_000_000_000);
  trust.publish();
  control.reload([region]);
  while (entries('authorities').length === 0) await turn();
  t.match(entries('authorities'), [{ sha256: digest('ca.pem'), before: authorities }]);
});

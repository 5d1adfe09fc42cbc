/**
 * `npm run test:wordpress`: WordPress behind a network, Debian's package as it
 * is. Each journey says what was stored and what was not, and what an anonymous
 * visitor sees afterwards; at the end an anonymous visitor asks for everything
 * that somebody has asked for.
 * @module
 */
import { t as all, type Test, test } from 'tap';
import { regionSchema, type SiteConfig } from '../../config/schema.ts';
import { startControl } from '../../control/node.ts';
import { createLog } from '../../telemetry/log.ts';
import { readArguments } from '../support/arguments.ts';
import { makeCertificate } from '../support/certificate.ts';
import { filesOfNetwork, type NetworkOptions, SECRET, startNetwork } from '../support/network.ts';
import { HOST } from '../support/visitor.ts';
import { ATTACKS } from './attacks.ts';
import { inChromium } from './chromium.ts';
import { JOURNEYS } from './journeys.ts';
import { TABLE } from './rules.ts';
import { Stage } from './stage.ts';
import { startWordPress } from './wordpress.ts';

const HELP = `Usage: npm run test:wordpress

WordPress with MariaDB, both Debian's (packages wordpress, mariadb-server, php-fpm
and chromium), behind a network: journeys of visitors and editors, as TAP.

Options:
  --help  Say this.
`;

readArguments('test:wordpress', HELP, {});
all.setTimeout(600_000);

const log = createLog({ name: 'wordpress', level: 'silent' });

test('WordPress is cached and purged', async (all) => {
  const wordpress = await startWordPress();
  all.teardown(async () => {
    if (!all.passing()) all.comment(wordpress.logs());
    await wordpress.close();
  });
  const tls = makeCertificate(all.testdir({}), 'wordpress', [HOST]);
  for (const [i, of] of TABLE.entries()) {
    await all.test(of.title, async (t) => {
      const journal = await startJournal(t);
      const network = await startNetwork({
        journal,
        origin: `http://${wordpress.address}`,
        site: {
          purge_method: { from: ['127.0.0.1'] },
          ...of.site,
          tls: { cert_file: tls.cert_file, key_file: tls.key_file },
        },
        rules: of.rules,
      } as NetworkOptions);
      const stage = new Stage(wordpress, network, of, `r${i}`);
      t.teardown(() => stage.close());
      for (const [name, journey] of Object.entries({ ...JOURNEYS, ...ATTACKS }))
        await t.test(name, (journeyTest) => journey(journeyTest, stage));
      if (of.isRecipe && of.namesCookies !== true)
        await t.test('the editor works in Chromium', (last) => inChromium(last, stage));
      await t.test('one visitor’s view never reaches another', async (last) => {
        for (const target of stage.asked) await stage.stranger(last, target);
      });
    });
  }
});

/** A control node. @returns Its address. */
async function startJournal(t: Test): Promise<string> {
  const parsed = regionSchema.parse({
    region: 'main',
    tier_secret: SECRET,
    control: { listen: '127.0.0.1:0', data: t.testdir({}) },
    sites: [{ name: 'site', hosts: [HOST], origin: { servers: [{ url: 'http://127.0.0.1:1' }] } }],
  });
  const { control } = parsed;
  if (control === undefined) throw new Error('a control node was asked for');
  const region = {
    ...parsed,
    file: `${t.testdirName}/region.yaml`,
    sites: parsed.sites as SiteConfig[],
    reachableShields: [],
  };
  const node = await startControl({ region, control, regions: [region, ...filesOfNetwork({})], log });
  t.teardown(() => node.close());
  return node.address;
}

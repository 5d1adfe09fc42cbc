import { test } from 'tap';
import { Comparison } from '../../../cli/replay/comparison.ts';
import { ReplayModel } from '../../../cli/replay/model.ts';
import { siteSchema } from '../../../config/schema.ts';

const modelOf = (others: object): ReplayModel => {
  const origin = { servers: [{ url: 'http://127.0.0.1' }] };
  const site = siteSchema.parse({ name: 'site', hosts: ['site.test'], origin, ...others });
  return new ReplayModel({ sites: [site] }, 16 * 2 ** 20);
};

test('requests whose keys differ now, and that get one answer, are reported', async (t) => {
  const comparison = new Comparison(modelOf({ key: { query: { deny: ['session'] } } }));
  const text = (target: string, key: string): string =>
    JSON.stringify({
      ...{ time: '2026-01-31T12:00:00.000Z', method: 'GET', scheme: 'http', host: 'site.test', target, status: 200 },
      ...{
        bytes: 5,
        length: 5,
        key,
        cache_status: '"e";fwd=uri-miss;stored',
        response: { 'cache-control': 'max-age=9' },
      },
    });
  await comparison.take(text('/a?session=1', 'one'));
  await comparison.take(text('/a?session=1', 'one'));
  t.equal(comparison.shared.size, 0);
  await comparison.take(text('/a?session=2', 'two'));
  t.match(comparison.shared.get('key'), { answered: 1 });
  t.strictSame([...(comparison.shared.get('key')?.examples.keys() ?? [])], ['http://site.test/a?session=2']);
});

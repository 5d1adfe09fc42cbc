import { test } from 'tap';
import { RequestProfile } from '../../cache/request-profile.ts';
import { factsOf } from '../../cache/stored-facts.ts';
import { Bench } from './engine/bench.ts';

const TAGS = ['"1"', '"2"', 'W/"1"', undefined] as const;

test('an If-None-Match names the entity tag of the same text, however often it named another one', async (t) => {
  const bench = new Bench();
  const requests = TAGS.map((_, i) => bench.request(`/${i}`));
  for (const [i, tag] of TAGS.entries()) {
    const headers = ['Cache-Control', 'max-age=3600', 'Date', bench.date];
    if (tag !== undefined) headers.push('ETag', tag);
    await bench.fetched(`/${i}`, 200, headers, 'body');
  }
  const facts = requests.map((request) => {
    const [stored] = bench.store.get(request.keyed.key);
    if (stored === undefined) throw new Error('nothing is stored');
    return factsOf(stored, request);
  });
  for (const asked of [...TAGS, '*', '"1", "2"']) {
    const headers = asked === undefined ? [] : ['If-None-Match', asked];
    const { site, rules } = bench.request('/');
    const profile = new RequestProfile({ site, rules, headers, credentials: undefined });
    for (let round = 0; round < 3; round++) {
      for (const [i, tag] of TAGS.entries()) {
        t.equal(facts[i]?.isNamedBy(profile), tag !== undefined && asked === tag, `${asked} of ${tag}`);
      }
    }
  }
});

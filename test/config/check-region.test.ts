/** Contradictions in a region: those of its sites are found also where the region itself cannot be read. */
import { join } from 'node:path';
import { test } from 'tap';
import { checkRegion } from '../../config/check-region.ts';
import { readRegion } from '../../config/read.ts';
import { HEAD, placesOf } from './refusal.ts';

const TWICE = `sites:
  - { name: a, hosts: [a.example], origin: { servers: [{ url: http://o.example }] } }
  - { name: a, hosts: [b.example], origin: { servers: [{ url: http://o.example }] } }
`;

for (const { what, yaml, keys } of [
  { what: 'a region that is well-formed', yaml: HEAD, keys: ['sites[1].name', 'edges[0].tier'] },
  { what: 'a region with a key that is malformed', yaml: `${HEAD}memory: much\n`, keys: ['sites[1].name'] },
]) {
  test(`problems of sites are found in ${what}`, async (t) => {
    const edges = "edges: [{ name: a, listen: '127.0.0.1:80', tier: '0.0.0.0:81' }]\n";
    const directory = t.testdir({ 'region.yaml': yaml + TWICE + edges });
    const problems = checkRegion(readRegion(join(directory, 'region.yaml'), {}));
    t.same(
      placesOf(directory, problems).map((place) => place.replace(/^\S+ /, '')),
      keys,
    );
  });
}

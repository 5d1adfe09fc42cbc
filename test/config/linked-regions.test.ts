/** Regions that a region takes shields from. */
import { join } from 'node:path';
import { test } from 'tap';
import { foreignNames, otherLinkedRegions, reachableShields } from '../../config/linked-regions.ts';
import { loadRegion } from '../../config/load.ts';
import { readRegion } from '../../config/read.ts';

/** A region on one machine, whose fourth octet is `machine`. */
function region(name: string, machine: number, more = ''): string {
  return `region: ${name}
network: test
tier_secret: 0123456789abcdef
edges: [{ name: ${name}-1, listen: '0.0.0.0:80', tier: '10.0.0.${machine}:81' }]
sites: [{ name: shop, hosts: ['*'], origin: { servers: [{ url: 'http://origin.example' }] } }]
${more}`;
}

function shield(name: string, machine: number): string {
  return `shields: [{ name: ${name}, tier: '10.0.0.${machine}:82' }]\n`;
}

test('a region reaches its own shields and those of shields_from, in that order', async (t) => {
  const directory = t.testdir({
    'fra.yaml': region('fra', 1, shield('s1', 1)),
    'iad.yaml': region('iad', 2, `${shield('s2', 2)}shields_from: [fra.yaml]\n`),
  });
  const { reachableShields } = loadRegion(join(directory, 'iad.yaml'), {});
  t.same(
    reachableShields.map(({ name }) => name),
    ['s2', 's1'],
  );
});

test('a region that is named twice, or is this one, is no other region', async (t) => {
  const directory = t.testdir({
    'fra.yaml': region('fra', 1, shield('s1', 1)),
    'iad.yaml': region('iad', 2, `${shield('s2', 2)}shields_from: [fra.yaml, ./fra.yaml, iad.yaml, gone.yaml]\n`),
    'link.yaml': t.fixture('symlink', 'iad.yaml'),
  });
  for (const file of ['iad.yaml', 'link.yaml']) {
    const reading = readRegion(join(directory, file), {});
    t.same(
      otherLinkedRegions(reading).map(({ config }) => config.region),
      ['fra'],
    );
    t.same(
      reachableShields(reading).map(({ name }) => name),
      ['s2', 's1'],
    );
    t.same(
      foreignNames(reading).map(({ name }) => name),
      ['s1'],
    );
  }
});

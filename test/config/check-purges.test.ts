/** Warnings about purges that would not reach every node. */
import { join } from 'node:path';
import { test } from 'tap';
import { checkRegions } from '../../config/check.ts';

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

test('a PURGE that would reach one process only is a warning', (t) => {
  const open = (text: string): string =>
    text.replace("hosts: ['*'],", "hosts: ['*'], purge_method: { from: [10.0.0.0/8] },");
  const warningsOf = (text: string): readonly string[] => {
    const { problems, warnings } = checkRegions([join(t.testdir({ 'fra.yaml': text }), 'fra.yaml')]);
    t.same(problems, []);
    return warnings.map(({ line, key, fix }) => `${line} ${key} ${fix}`);
  };
  const network = region('fra', 1, shield('s', 1));
  t.match(warningsOf(open(network)), [
    /^5 sites\[0\]\.purge_method Say where the control node is in `purges\.journal`/,
  ]);
  t.same(warningsOf(network), [], 'nobody may send it');
  t.same(warningsOf(open(region('fra', 1))), [], 'one edge has nobody to tell');
  t.same(warningsOf(open(`${network}purges: { journal: 'http://10.0.0.9:90' }\n`)), []);
  t.same(warningsOf(open(`${network}control: { listen: '10.0.0.9:90' }\n`)), []);
  t.end();
});

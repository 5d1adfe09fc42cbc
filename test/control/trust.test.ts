/** Nodes that show a certificate, as region files name them. */
import { test } from 'tap';
import { refusalOf, sitesOf } from '../../control/trust.ts';
import type { Role } from '../../trust/identity.ts';
import { SITES } from './control.ts';

const node = (name: string) => ({ name });
const REGIONS = [
  { region: 'eu', edges: [node('a')], shields: [node('s')], control: node('c'), dns: node('d'), sites: SITES },
  { region: 'us', edges: [node('a'), node('b')], shields: [], sites: SITES.slice(0, 1) },
] as never;

for (const { role, name, region, isKnown, sites } of [
  { role: 'edge', name: 'a', isKnown: true, sites: ['shop', 'blog'] },
  { role: 'edge', name: 'a', region: 'us', isKnown: true, sites: ['shop'] },
  { role: 'edge', name: 'b', region: 'eu', isKnown: false, sites: [] },
  { role: 'edge', name: 's', isKnown: false, sites: [] },
  { role: 'shield', name: 's', isKnown: true, sites: ['shop', 'blog'] },
  { role: 'shield', name: 'a', isKnown: false, sites: [] },
  { role: 'control', name: 'c', isKnown: true, sites: ['shop', 'blog'] },
  { role: 'dns', name: 'd', region: 'us', isKnown: false, sites: [] },
  { role: 'dns', name: 'd', isKnown: true, sites: ['shop', 'blog'] },
  { role: 'admin', name: 'whatever', isKnown: true, sites: [] },
] as { role: Role; name: string; region?: string; isKnown: boolean; sites: string[] }[]) {
  test(`the ${role} ${name}${region ? ` of ${region}` : ''} ${isKnown ? 'is known' : 'is refused'}, with the sites ${sites.join(' and ') || 'of none'}`, async (t) => {
    const identity = { role, name, region } as never;
    // Of edges and shields the registry of nodes says whether they are known.
    t.equal(refusalOf(REGIONS, { isKnown: () => isKnown }, identity), isKnown ? undefined : 'peer_unknown');
    t.same([...sitesOf(REGIONS, identity)], sites);
  });
}

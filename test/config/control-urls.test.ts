/** Addresses of the control nodes, as the nodes of a region know them. */
import { test } from 'tap';
import { controlUrls } from '../../config/control-urls.ts';

for (const { what, journal = [], control, tls, urls } of [
  { what: 'no control node', urls: [] },
  { what: 'one of this region', control: { listen: '10.0.0.1:80' }, urls: ['http://10.0.0.1:80'] },
  {
    what: 'one that is named, beside one of this region',
    journal: ['http://10.0.0.9:80'],
    control: { listen: '10.0.0.1:80' },
    urls: ['http://10.0.0.9:80'],
  },
  { what: 'certificates', control: { listen: '10.0.0.1:80' }, tls: {}, urls: ['https://10.0.0.1:80'] },
  {
    what: 'certificates, and an address for nodes',
    control: { listen: '10.0.0.1:80', tier: '10.0.0.1:81' },
    tls: {},
    urls: ['https://10.0.0.1:81'],
  },
  {
    what: 'an address for nodes without certificates, which is not used',
    control: { listen: '10.0.0.1:80', tier: '10.0.0.1:81' },
    urls: ['http://10.0.0.1:80'],
  },
] as { what: string; journal?: string[]; control?: object; tls?: object; urls: string[] }[]) {
  test(`with ${what} a node asks ${urls.join(', ') || 'no control node'}`, async (t) => {
    t.same(controlUrls({ purges: { journal }, control, tier_tls: tls } as never), urls);
  });
}

import { join } from 'node:path';
import { test } from 'tap';
import { loadRegion } from '../../config/load.ts';
import { HEAD, placesOf, problemsOf, SITES } from './refusal.ts';

/** Two edges on two machines, from line 3 to 9. */
const EDGES = `edges:
  - name: fra-1
    listen: 0.0.0.0:80
    tier: 10.0.0.1:8100
  - name: fra-2
    listen: 0.0.0.0:80
    tier: 10.0.0.2:8100
`;

for (const { what, yaml, places = [], says, fix } of [
  // Names.
  {
    what: 'two edges of one name',
    yaml: EDGES.replace('fra-2', 'fra-1') + SITES,
    places: ['7:11 edges[1].name'],
    says: /edges\[0\] is called fra-1 too/,
  },
  {
    what: 'a shield with the name of an edge',
    yaml: `${EDGES}shields: [{ name: fra-1, tier: '10.0.0.3:1' }]\n${SITES}`,
    places: ['10:19 shields[0].name'],
  },
  {
    what: 'an edge with the name that the control node has by default',
    yaml: `${EDGES.replace('fra-1', 'control')}control: { listen: '10.0.0.3:1' }\n${SITES}`,
    places: ['10:1 control.name'],
  },
  {
    what: 'a host in two sites',
    yaml: `${SITES}${SITES.replace('sites:\n', '').replace('shop', 'blog')}`,
    places: ['8:13 sites[1].hosts[0]'],
    says: /site shop has the host www\.example\.com already \(sites\[0\]\.hosts\[0\]\)/,
  },
  {
    what: 'the same wildcard in two sites',
    yaml: 'sites:\n  - { name: a, hosts: ["*.example"], origin: { servers: [{ url: http://o.example }] } }\n  - { name: b, hosts: ["*.example"], origin: { servers: [{ url: http://o.example }] } }\n',
    places: ['5:24 sites[1].hosts[0]'],
  },
  {
    what: 'a name inside the wildcard of another site is no problem',
    yaml: 'sites:\n  - { name: a, hosts: ["*.example", "*"], origin: { servers: [{ url: http://o.example }] } }\n  - { name: b, hosts: [b.example, "*.c.example"], origin: { servers: [{ url: http://o.example }] } }\n',
  },
  {
    what: 'two sites of one name',
    yaml: 'sites:\n  - { name: a, hosts: [a.example], origin: { servers: [{ url: http://o.example }] } }\n  - { name: a, hosts: [b.example], origin: { servers: [{ url: http://o.example }] } }\n',
    places: ['5:13 sites[1].name'],
  },
  {
    what: 'a redirect to a host that another site takes',
    yaml: 'sites:\n  - { name: a, hosts: ["*.example"], origin: { servers: [{ url: http://o.example }] }, redirect: { host: b.example } }\n  - { name: b, hosts: [b.example], origin: { servers: [{ url: http://o.example }] } }\n',
    places: ['4:106 sites[0].redirect.host'],
    says: /belongs to the site b/,
  },

  // Addresses.
  { what: 'the same wildcard address on two machines is no problem', yaml: EDGES + SITES },
  {
    what: 'the same wildcard address on one machine',
    yaml: EDGES.replace('10.0.0.2:8100', '10.0.0.1:8101') + SITES,
    places: ['8:13 edges[1].listen'],
    says: /0\.0\.0\.0:80 is taken: fra-1 listens on 0\.0\.0\.0:80 \(edges\[0\]\.listen\)/,
  },
  {
    what: 'an address inside a wildcard address of the machine',
    yaml: `edges: [{ name: a, listen: '0.0.0.0:80', tier: '10.0.0.1:81' }, { name: b, listen: '10.0.0.1:80', tier: '10.0.0.1:82' }]\n${SITES}`,
    places: ['3:84 edges[1].listen'],
  },
  {
    what: 'a specific address under 0.0.0.0',
    yaml: `edges: [{ name: a, listen: '0.0.0.0:80', tier: '127.0.0.1:81', control: '127.0.0.1:80' }]\n${SITES}`,
    places: ['3:73 edges[0].control'],
  },
  {
    what: 'IPv6 takes IPv4 too',
    yaml: `edges: [{ name: a, listen: '[::]:80', tier: '127.0.0.1:80' }]\n${SITES}`,
    places: ['3:45 edges[0].tier'],
  },
  {
    what: 'one address in two spellings',
    yaml: `edges: [{ name: a, listen: 'localhost:80', tier: '127.0.0.1:80' }]\n${SITES}`,
    places: ['3:50 edges[0].tier'],
  },
  {
    what: 'two addresses of one machine are no problem',
    yaml: `edges: [{ name: a, listen: '127.0.0.1:80', tier: '127.0.0.2:80', control: '[::1]:80' }]\n${SITES}`,
  },
  {
    what: 'port 0 is always free',
    yaml: `edges: [{ name: a, listen: '127.0.0.1:0', tier: '127.0.0.1:0', control: '127.0.0.1:0' }]\n${SITES}`,
  },
  {
    what: 'the control node on the port of an edge',
    yaml: `edges: [{ name: a, listen: '127.0.0.1:80', tier: '127.0.0.1:81' }]\ncontrol: { listen: '127.0.0.1:80' }\n${SITES}`,
    places: ['4:20 control.listen'],
  },
  {
    what: 'a tier that nobody can reach',
    yaml: `edges: [{ name: a, listen: '127.0.0.1:80', tier: '0.0.0.0:81' }]\n${SITES}`,
    places: ['3:50 edges[0].tier'],
    says: /other nodes cannot reach 0\.0\.0\.0/,
  },
  {
    what: 'an address that is none',
    yaml: `control: { listen: '300.0.0.1:80' }\n${SITES}`,
    places: ['3:20 control.listen'],
  },
  {
    what: 'proxies that are not addresses',
    yaml: `trusted_proxies: [10.0.0.0/8, '2001:db8::/32', 192.0.2.7, proxy.example, '10.1', 10.0.0.0/33]\n${SITES}`,
    places: ['3:59 trusted_proxies[3]', '3:74 trusted_proxies[4]', '3:82 trusted_proxies[5]'],
  },

  // Origins that are the network itself.
  {
    what: 'an origin that is an edge',
    yaml: `edges: [{ name: a, listen: '127.0.0.1:8080', tier: '127.0.0.1:81' }]\n${SITES.replace('https://origin.example.net', 'http://localhost:8080')}`,
    places: ['7:32 sites[0].origin.servers[0].url'],
    says: /is a itself \(edges\[0\]\.listen\)/,
  },
  {
    what: 'an origin that is a tier listener',
    yaml: `shields: [{ name: a, tier: '10.0.0.9:443' }]\n${SITES.replace('origin.example.net', '10.0.0.9')}`,
    places: ['7:32 sites[0].origin.servers[0].url'],
  },
  {
    what: 'an origin that is a machine listening on every address',
    yaml: `${EDGES}${SITES.replace('https://origin.example.net', 'http://10.0.0.2')}`,
    places: ['13:32 sites[0].origin.servers[0].url'],
    says: /is fra-2 itself/,
  },
  {
    what: 'an origin on loopback, where an edge that asks it listens on every address',
    yaml: `${EDGES}${SITES.replace('https://origin.example.net', 'http://127.0.0.1')}`,
    places: ['13:32 sites[0].origin.servers[0].url'],
  },
  {
    what: 'an origin on loopback of the shield is no problem',
    yaml: `${EDGES}shields: [{ name: s, tier: '10.0.0.9:81' }]\n${SITES.replace('https://origin.example.net', 'http://127.0.0.1')}    direct_to_origin: false\n`,
  },
  {
    what: 'an origin on the machine of an edge, at another port',
    yaml: `${EDGES}${SITES.replace('https://origin.example.net', 'http://10.0.0.1:3000')}`,
  },

  // Shields.
  {
    what: 'a shield that does not exist',
    yaml: `shields: [{ name: shield-1, tier: '10.0.0.9:81' }]\n${SITES}    shields: [shield-l]\n`,
    places: ['8:15 sites[0].shields[0]'],
    fix: /`shield-1`/,
  },
  {
    what: 'edges without any way to the origin',
    yaml: `${EDGES}${SITES}    direct_to_origin: false\n`,
    places: ['14:23 sites[0].direct_to_origin'],
    fix: /shields_from/,
  },
  { what: 'a region without edges needs no way', yaml: `${SITES}    direct_to_origin: false\n` },
  {
    what: 'a region that takes shields from itself',
    yaml: `shields_from: [./region.yaml]\n${SITES}`,
    places: ['3:16 shields_from[0]'],
    says: /from itself/,
  },
  {
    what: 'a region file that does not exist',
    yaml: `shields_from: [gone.yaml]\n${SITES}`,
    places: ['3:16 shields_from[0]'],
    says: /gone\.yaml: there is no such file/,
  },
] as { what: string; yaml: string; places?: string[]; says?: RegExp; fix?: RegExp }[]) {
  test(`a region: ${what}`, async (t) => {
    const directory = t.testdir({ 'region.yaml': HEAD + yaml });
    const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
    t.same(
      placesOf(directory, problems),
      places.map((place) => `region.yaml:${place}`),
    );
    if (says) t.match(problems[0]?.message, says);
    if (fix) t.match(problems[0]?.fix, fix);
  });
}

test('a file that is included twice is refused', async (t) => {
  const directory = t.testdir({
    'region.yaml': `${HEAD}sites:\n  - include: shop.yaml\n  - include: ./shop.yaml\n`,
    'shop.yaml': 'name: shop\nhosts: [a.example]\norigin: { servers: [{ url: http://o.example }] }\n',
  });
  const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
  t.same(placesOf(directory, problems), ['region.yaml:5:14 sites[1].include']);
});

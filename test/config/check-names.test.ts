/** Names that are used twice: of nodes, of sites, of hosts. */
import { EDGES, SITES, testRegions } from './refusal.ts';

testRegions([
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
  {
    what: 'a host twice in one site is one problem',
    yaml: `${SITES.replace('[www.example.com]', '[www.example.com, www.example.com]')}`,
    places: ['5:30 sites[0].hosts[1]'],
  },
  {
    what: 'a redirect to a host that this site names itself is no problem',
    yaml: 'sites:\n  - { name: a, hosts: ["*.example", b.example], origin: { servers: [{ url: http://o.example }] }, redirect: { host: b.example } }\n  - { name: b, hosts: ["*"], origin: { servers: [{ url: http://o.example }] } }\n',
  },
  {
    what: 'three nodes of one name are two problems, both about the first',
    yaml: `${EDGES.replace('fra-2', 'fra-1')}shields: [{ name: fra-1, tier: '10.0.0.3:1' }]\n${SITES}`,
    places: ['7:11 edges[1].name', '10:19 shields[0].name'],
    says: /edges\[0\] is called fra-1 too/,
  },
  {
    what: 'a DNS server with the name of a shield',
    yaml: `shields: [{ name: dns, tier: '10.0.0.3:1' }]\ndns: { listen: ['10.0.0.4:53'], zones: [{ name: example.com, nameservers: [{ name: ns.example.net }] }] }\n${SITES}`,
    places: ['4:1 dns.name'],
  },
]);

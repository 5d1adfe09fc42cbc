/** Addresses that cannot be listened on, that two nodes listen on, and origins that are the network itself. */
import { EDGES, SITES, testRegions } from './refusal.ts';

testRegions([
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
  {
    what: 'a third listener on an address is a problem as well, and names the first',
    yaml: `edges: [{ name: a, listen: '10.0.0.1:80', tier: '10.0.0.1:80', control: '10.0.0.1:80' }]\n${SITES}`,
    places: ['3:49 edges[0].tier', '3:73 edges[0].control'],
    says: /a listens on 10\.0\.0\.1:80 \(edges\[0\]\.listen\)/,
  },
  {
    what: 'an origin at the default port of https, where an edge listens',
    yaml: `edges: [{ name: a, listen: '10.0.0.1:443', tier: '10.0.0.1:81' }]\n${SITES.replace('origin.example.net', '10.0.0.1')}`,
    places: ['7:32 sites[0].origin.servers[0].url'],
  },
  {
    what: 'an origin that is the control listener of an edge is no loop of requests',
    yaml: `edges: [{ name: a, listen: '10.0.0.1:80', tier: '10.0.0.1:81', control: '10.0.0.1:82' }]\n${SITES.replace('https://origin.example.net', 'http://10.0.0.1:82')}`,
  },
]);

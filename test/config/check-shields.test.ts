/** Shields that edges and sites refer to: they exist, and regions that share them agree. */
import { EDGES, SITES, testRegions } from './refusal.ts';

testRegions([
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
  {
    what: 'a shield like no other, where there are some',
    yaml: `shields: [{ name: a, tier: '10.0.0.9:81' }, { name: b, tier: '10.0.0.9:82' }]\n${SITES}    shields: [something-else]\n`,
    places: ['8:15 sites[0].shields[0]'],
    fix: /are a and b\./,
  },
  {
    what: 'a shield where there is none at all is one problem',
    yaml: `${EDGES}${SITES}    shields: [a]\n    direct_to_origin: false\n`,
    places: ['14:15 sites[0].shields[0]'],
    fix: /shields_from/,
  },
  {
    what: 'a file that does not exist, by two names',
    yaml: `shields_from: [gone.yaml, ./gone.yaml]\n${SITES}`,
    places: ['3:16 shields_from[0]', '3:27 shields_from[1]', '3:27 shields_from[1]'],
  },
]);

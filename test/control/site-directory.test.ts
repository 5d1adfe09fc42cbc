/** Sites of the whole network, where regions may have different versions of a file. */
import { test } from 'tap';
import { siteDirectory } from '../../control/site-directory.ts';
import { site } from './control.ts';

test('a host has a site for each region that serves it, the more precise name first in each', async (t) => {
  const directory = siteDirectory([
    { sites: [site('wide', ['*.example.com']), site('www', ['www.example.com'])] },
    { sites: [site('renamed', ['www.example.com'])] },
    { sites: [] },
  ]);
  const namesOf = (host: string) => directory.sitesOf(host).map(({ name }) => name);
  t.same(namesOf('www.example.com'), ['www', 'renamed']);
  t.same(namesOf('a.example.com'), ['wide']);
  t.same(namesOf('example.com'), []);
  t.same([...directory.names].sort(), ['renamed', 'wide', 'www']);
});

import { test } from 'tap';
import type { RegionConfig } from '../../config/schema.ts';
import { createNodeList, type NodeListSources } from '../../control/node-list.ts';

const REGION = {
  region: 'eu',
  edges: [{ name: 'eu-1', listen: '127.0.0.1:1', tier: '127.0.0.1:2', control: '127.0.0.1:3' }],
  shields: [{ name: 'shield-1', tier: '127.0.0.1:4', control: '127.0.0.1:5' }],
} as unknown as RegionConfig;

const SOURCES: NodeListSources = {
  progress: () => [],
  newest: () => 0,
  members: () => ({
    presence: () => 'never_seen',
    row: () => undefined,
    isNamed: () => true,
    isDoubled: () => false,
    others: () => [],
  }),
  refused: () => [],
  config: () => '',
};

test('concurrent readers share one round of calls; a later reader starts another', async (t) => {
  const asked: string[] = [];
  const release = Promise.withResolvers<boolean>();
  const isUp = (address: string): Promise<boolean> => {
    asked.push(address);
    return release.promise;
  };
  const list = createNodeList([REGION], isUp, SOURCES);

  const reads = [list.read(), list.read(), list.read()];
  release.resolve(true);
  const [first, ...others] = await Promise.all(reads);
  for (const other of others) t.equal(other, first);
  t.strictSame(asked, ['127.0.0.1:3', '127.0.0.1:5']);

  await list.read();
  t.equal(asked.length, 4);
});

/** Merkle tree hashes. The roots are those of the reference implementation of RFC 6962 (certificate-transparency). */
import { hash } from 'node:crypto';
import fc from 'fast-check';
import { test } from 'tap';
import { frontierLength, GrowingTree, leafHash, nodeHash, rootOf } from '../../../journal/audit/tree.ts';

const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

test('roots of 0 to 8 leaves are those of the reference implementation', async (t) => {
  const tree = new GrowingTree({ size: 0, hashes: [] });
  const roots = [tree.root];
  for (const leaf of LEAVES) {
    tree.push(leafHash(Buffer.from(leaf, 'hex')));
    roots.push(tree.root);
  }
  t.same(
    roots.map((root) => root.toString('hex')),
    ROOTS,
  );
});

/** RFC 6962, section 2.1, word for word. */
function treeHash(leaves: readonly string[]): Buffer {
  if (leaves.length === 0) return hash('sha256', Buffer.alloc(0), 'buffer');
  if (leaves.length === 1) return leafHash(leaves[0] as string);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

test('a tree that grows from any frontier has the root of all its leaves', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 70 }), fc.nat({ max: 70 }), (leaves, cut) => {
      const first = new GrowingTree({ size: 0, hashes: [] });
      for (const leaf of leaves.slice(0, cut)) first.push(leafHash(leaf));
      const { frontier } = first;
      if (frontier.hashes.length !== frontierLength(frontier.size)) return false;
      const tree = new GrowingTree(frontier);
      for (const leaf of leaves.slice(cut)) tree.push(leafHash(leaf));
      return (
        tree.size === leaves.length && treeHash(leaves).equals(tree.root) && rootOf(tree.frontier).equals(tree.root)
      );
    }),
  );
  t.pass();
});

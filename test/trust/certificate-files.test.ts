/** Files by which a node knows others: used as a whole or not at all, with the file and the fix named. */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { wallNow } from '../../lib/clock.ts';
import { type CertificateFile, type CertificateTexts, materialOf, readTexts } from '../../trust/certificate-files.ts';
import { makeTrust } from '../support/trust.ts';

const OWN = { network: 'seawall', role: 'edge', name: 'eu-1', region: 'eu' } as const;

function issued(t: Test) {
  const trust = makeTrust(t.testdir());
  trust.issue('edge', 'eu-1', 'eu');
  trust.issue('edge', 'eu-2', 'eu');
  const { folder } = trust;
  const files = {
    cert_file: join(folder, 'eu-1.pem'),
    key_file: join(folder, 'eu-1.key'),
    ca_file: join(folder, 'ca.pem'),
    crl_file: join(folder, 'revoked.pem'),
  };
  return { trust, folder, files, texts: readTexts(files) };
}

test('what can be used is used: the identity is that of the certificate', async (t) => {
  const { files, texts } = issued(t);
  const material = await materialOf(texts, files, OWN, wallNow());
  t.match(material.identity, OWN);
  t.ok(material.expiresAt > wallNow());
  t.equal(material.contextOptions.minVersion, 'TLSv1.3');
});

test('without a list of revocations nothing is revoked', async (t) => {
  const { files } = issued(t);
  const { crl_file: _, ...without } = files;
  const texts = readTexts(without);
  t.equal(texts.crl_file, '');
  t.equal((await materialOf(texts, without, OWN, wallNow())).trusted.revoked.size, 0);
});

test('faults of texts are found, whichever file has them', async (t) => {
  const { folder, files, texts } = issued(t);
  const other = (name: string): string => readFileSync(join(folder, name), 'latin1');
  const rows: readonly (readonly [
    what: string,
    changes: Partial<CertificateTexts>,
    key: CertificateFile,
    says: RegExp,
  ])[] = [
    ['an empty certificate', { cert_file: '' }, 'cert_file', /holds no certificate/],
    ['an empty authority', { ca_file: '' }, 'ca_file', /holds no certificate of an authority/],
    ['a node in the place of an authority', { ca_file: texts.cert_file }, 'ca_file', /authority/],
    ['an authority with a node beside it', { ca_file: texts.ca_file + texts.cert_file }, 'ca_file', /authority/],
    ['an authority in the place of a node', { cert_file: texts.ca_file }, 'key_file', /is not the key of/],
    ['another node’s key', { key_file: other('eu-2.key') }, 'key_file', /is not the key of/],
    ['no key', { key_file: 'x' }, 'key_file', /./],
    [
      'another node’s certificate',
      { cert_file: other('eu-2.pem'), key_file: other('eu-2.key') },
      'cert_file',
      /the name eu-2/,
    ],
    ['no list in the list', { crl_file: 'x' }, 'crl_file', /cannot be used/],
    ['a list that ends early', { crl_file: texts.crl_file.slice(0, 200) }, 'crl_file', /cannot be used/],
  ];
  for (const [what, changes, key, says] of rows) {
    await t.rejects(
      materialOf({ ...texts, ...changes }, files, OWN, wallNow()),
      { code: 'certificate_unusable', key, message: says, fix: /./ },
      what,
    );
  }
});

for (const key of ['role', 'region'] as const) {
  test(`a certificate for another ${key} is not this node’s`, async (t) => {
    const { files, texts } = issued(t);
    const own = { ...OWN, [key]: key === 'role' ? 'shield' : 'us' };
    await t.rejects(materialOf(texts, files, own, wallNow()), { key: 'cert_file', message: new RegExp(`the ${key}`) });
  });
}

test('a certificate without a region is one for every region', async (t) => {
  const { trust, files } = issued(t);
  trust.issue('edge', 'eu-1');
  t.equal((await materialOf(readTexts(files), files, OWN, wallNow())).identity.region, undefined);
});

test('one that is of another network cannot be used, though the same authority names it', async (t) => {
  const { files, texts } = issued(t);
  const own = { ...OWN, network: 'other' };
  await t.rejects(materialOf(texts, files, own, wallNow()), { key: 'cert_file', message: /cannot be used: / });
});

test('one that has ended stops no node: the others refuse it', async (t) => {
  const { files, texts } = issued(t);
  const later = (wallNow() + 200 * 86_400_000) as ReturnType<typeof wallNow>;
  t.match((await materialOf(texts, files, OWN, later)).identity, OWN);
});

test('a file that is missing, too long, or no file is named with what to do', async (t) => {
  const { folder, files } = issued(t);
  const at = (name: string): string => join(folder, name);
  mkdirSync(at('folder.pem'));
  writeFileSync(at('long.pem'), '');
  truncateSync(at('long.pem'), 4 * 2 ** 20 + 1);
  for (const key of ['cert_file', 'key_file', 'ca_file', 'crl_file'] as const) {
    t.throws(() => readTexts({ ...files, [key]: at('none.pem') }), {
      key,
      message: /none\.pem does not exist/,
      fix: /./,
    });
    t.throws(() => readTexts({ ...files, [key]: at('long.pem') }), { key, message: /longer than/ });
    t.throws(() => readTexts({ ...files, [key]: at('folder.pem') }), { key, message: /cannot be read \(EISDIR\)/ });
  }
});

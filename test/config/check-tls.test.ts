/**
 * Certificates in region files: what cannot be used is refused with the line
 * and the fix, what browsers will not like is told.
 */

import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { checkRegions } from '../../config/check.ts';
import { doubtsAbout } from '../../config/check-tls.ts';
import { formatProblem } from '../../config/problem.ts';
import { epochMs } from '../../lib/clock.ts';
import { makeCertificate } from '../support/certificate.ts';

const YAML = [
  'region: eu',
  'tier_secret: a-secret-of-the-tests',
  'edges:',
  '  - name: eu-1',
  '    listen: 127.0.0.1:80',
  '    listen_tls: 127.0.0.1:443',
  '    tier: 127.0.0.1:81',
  'sites:',
  '  - name: site',
  '    hosts: [www.example.com, "*.example.com"]',
  '    origin: { servers: [{ url: "http://127.0.0.1:3000" }] }',
  '    tls:',
  '      cert_file: certs/site.pem',
  '      key_file: certs/site.key',
].join('\n');

function check(t: Test, { yaml = YAML, hosts = ['www.example.com', '*.example.com'], files = {} } = {}) {
  const folder = t.testdir({ 'eu.yaml': yaml, certs: {} });
  makeCertificate(join(folder, 'certs'), 'site', hosts);
  makeCertificate(join(folder, 'certs'), 'other', hosts);
  for (const [name, content] of Object.entries<string>(files)) writeFileSync(join(folder, 'certs', name), content);
  const file = join(folder, 'eu.yaml');
  const { regions, problems, warnings } = checkRegions([file]);
  const lines = (list: typeof problems) => list.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ''));
  return { regions, problems: lines(problems), warnings: lines(warnings), folder };
}

test('a valid entry passes: paths are relative to the file that names it', async (t) => {
  const { regions, problems, warnings, folder } = check(t);
  t.strictSame(problems, []);
  t.strictSame(warnings, []);
  t.equal(regions[0]?.sites[0]?.tls?.cert_file, join(folder, 'certs/site.pem'));
});

for (const { name, given, problem } of [
  {
    name: 'a file that is not there',
    given: { yaml: YAML.replace('certs/site.pem', 'nope.pem') },
    problem: /^eu\.yaml:13:\d+ sites\[0\]\.tls\.cert_file: nope\.pem does not exist. Fix: Create it/,
  },
  {
    name: 'no certificate',
    given: { files: { 'site.pem': 'hello' } },
    problem: /^eu\.yaml:13:\d+ sites\[0\]\.tls\.cert_file: certs\/site\.pem holds no certificate/,
  },
  {
    name: 'no key',
    given: { files: { 'site.key': 'hello' } },
    problem: /^eu\.yaml:14:\d+ sites\[0\]\.tls\.key_file: certs\/site\.key holds no private key/,
  },
  {
    name: 'the key of another one',
    given: { yaml: YAML.replace('site.key', 'other.key') },
    problem: /^eu\.yaml:14:\d+ sites\[0\]\.tls\.key_file: certs\/other\.key is not the key of the certificate/,
  },
  {
    name: 'a listener that has nothing to show',
    given: { yaml: YAML.slice(0, YAML.indexOf('    tls:')) },
    problem: /^eu\.yaml:6:\d+ edges\[0\]\.listen_tls: no site has a certificate to show there/,
  },
  {
    name: 'a port that is taken',
    given: { yaml: YAML.replace('127.0.0.1:443', '127.0.0.1:80') },
    problem: /^eu\.yaml:6:\d+ edges\[0\]\.listen_tls: 127\.0\.0\.1:80 is taken/,
  },
]) {
  test(`refused: ${name}`, async (t) => {
    const { problems } = check(t, given);
    t.equal(problems.length, 1, problems.join('\n'));
    t.match(problems[0], problem);
  });
}

test('a certificate and key that TLS does not accept are refused', async (t) => {
  const folder = t.testdir();
  const good = makeCertificate(folder, 'good', ['www.example.com', '*.example.com']);
  const weak = makeCertificate(folder, 'weak', ['www.example.com', '*.example.com'], ['rsa:1024']);
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  for (const [cert, key, says] of [
    [weak.cert, weak.key, /key too small/],
    [`${good.cert}${broken}`, good.key, /asn1/],
  ] as const) {
    const { problems } = check(t, { files: { 'site.pem': cert, 'site.key': key } });
    t.equal(problems.length, 1, problems.join('\n'));
    t.match(
      problems[0],
      /^eu\.yaml:13:\d+ sites\[0\]\.tls\.cert_file: certs\/site\.pem cannot be used for TLS \(.*\)\. Fix: /,
    );
    t.match(problems[0], says);
  }
});

test('hosts that a certificate does not name are a warning', async (t) => {
  const { problems, warnings } = check(t, { hosts: ['www.example.com'] });
  t.strictSame(problems, []);
  t.match(warnings, [/^eu\.yaml:13:\d+ .*certs\/site\.pem does not name \*\.example\.com\. Fix: Get a certificate/]);
});

test('a certificate that has expired, expires soon or is not valid yet is a warning', async (t) => {
  const { cert } = makeCertificate(t.testdir(), 'one', ['one.test']);
  const certificate = new X509Certificate(cert);
  const from = Date.parse(certificate.validFrom);
  const doubts = (days: number) =>
    doubtsAbout(certificate, ['one.test'], epochMs(from + days * 86_400_000)).map(({ message }) => message);
  t.strictSame(doubts(1), []);
  t.match(doubts(85), [/^expires on/]);
  t.match(doubts(91), [/^has expired on/]);
  t.match(doubts(-1), [/^is not valid before/]);
  t.strictSame(doubtsAbout(certificate, ['*', 'one.test'], epochMs(from + 1)), []);
  t.match(doubtsAbout(certificate, ['[::1]', '127.0.0.1'], epochMs(from + 1)), [
    { message: 'does not name [::1], 127.0.0.1' },
  ]);
});

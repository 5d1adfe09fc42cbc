import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { runCommand } from './process.ts';

const CONTROL = (ca: string) => ['issue', ca, 'control', '--role', 'control', '--region', 'eu', '--with-key'];

/** Runs `seawall ca` in a folder of the test. */
function authorityIn(t: Test) {
  const root = t.testdir();
  const place = (name: string): string => join(root, name);
  const run = async (...args: string[]) => {
    const { code, stdout, stderrLines } = await runCommand('cli/seawall.ts', ['ca', ...args]);
    return { code, stdout, stderr: stderrLines.join('\n') };
  };
  return { place, run };
}

for (const { what, made, args, says } of [
  { what: 'for another node', made: 'eu-2', args: [], says: /was made for eu-2 of the network demo, not for eu-1/ },
  { what: 'for another network', made: 'eu-1', args: ['--network', 'other'], says: /eu-1 of the network other, not/ },
]) {
  test(`a request that was made ${what} is refused, with its fix`, async (t) => {
    const { place, run } = authorityIn(t);
    await run('init', place('ca'), '--network', 'demo');
    await run('request', place('tls'), made, ...(args.length > 0 ? args : ['--network', 'demo']));
    const issue = ['issue', place('ca'), 'eu-1', '--role', 'edge', '--region', 'eu'];
    const refused = await run(...issue, '--request', place(`tls/${made}.csr`), '--out', place('tls'));
    t.match(refused, { code: 1, stderr: says });
    t.match(refused.stderr, /Fix: take the request of eu-1, or make it: .*ca request FOLDER eu-1 --network demo/);
    t.same(JSON.parse((await run('list', place('ca'), '--json')).stdout), [], 'nothing was issued');
  });
}

test('a name has one role and one region, until it is revoked', async (t) => {
  const { place, run } = authorityIn(t);
  await run('init', place('ca'), '--network', 'demo');
  const issue = (role: string, region: string, out: string) =>
    run('issue', place('ca'), 'eu-1', '--role', role, '--region', region, '--with-key', '--out', place(out));
  t.equal((await issue('edge', 'eu', 'a')).code, 0);
  t.equal((await issue('edge', 'eu', 'b')).code, 0, 'the same once more');
  for (const [role, region] of [
    ['shield', 'eu'],
    ['edge', 'us'],
  ] as const) {
    const refused = await issue(role, region, 'c');
    t.match(refused, { code: 1, stderr: /eu-1 has a valid certificate as edge eu-1 in eu: .* ca revoke/ });
  }
  await run('revoke', place('ca'), 'eu-1');
  t.equal((await issue('shield', 'us', 'd')).code, 0);
});

test('the quick start: a key stays where it is made, and its certificate comes from the authority', async (t) => {
  const { place, run } = authorityIn(t);
  t.equal((await run('init', place('ca'), '--network', 'demo')).code, 0);
  const asked = await run('request', place('tls'), 'eu-1', '--network', 'demo');
  t.match(asked.stdout, /eu-1\.key is the private key: it stays here/);
  t.equal(statSync(place('tls/eu-1.key')).mode & 0o777, 0o600);
  const key = readFileSync(place('tls/eu-1.key'), 'utf8');
  const issue = ['issue', place('ca'), 'eu-1', '--role', 'edge', '--region', 'eu'];
  const issued = await run(...issue, '--request', place('tls/eu-1.csr'), '--out', place('tls'));
  t.match(issued.stdout, /edge eu-1 in eu: valid, until/);
  execFileSync('openssl', ['verify', '-CAfile', place('ca/ca.pem'), place('tls/eu-1.pem')]);

  t.match((await run('request', place('tls'), 'eu-1', '--network', 'demo')).stdout, /was there and is kept/);
  t.equal(readFileSync(place('tls/eu-1.key'), 'utf8'), key);

  const other = await run(...CONTROL(place('ca')), '--out', place('tls'));
  t.equal(other.code, 0);
  t.equal(statSync(place('tls/control.key')).mode & 0o777, 0o600);
  t.match(
    await run(...CONTROL(place('ca')), '--out', place('tls')),
    { code: 1, stderr: /control\.key exists\. .*ca renew/ },
    'a key is never written over',
  );

  t.match((await run('renew', place('ca'))).stdout, /No certificate has to be renewed yet/);
  t.match((await run('renew', place('ca'), 'control', '--out', place('tls'))).stdout, /control in eu: valid/);
  t.match((await run('revoke', place('ca'), 'eu-1')).stdout, /of the edge eu-1 is revoked/);
  const list = JSON.parse((await run('list', place('ca'), '--json')).stdout) as { name: string; state: string }[];
  t.same(list.map(({ name, state }) => `${name} ${state}`).sort(), ['control valid', 'control valid', 'eu-1 revoked']);

  t.match((await run('renew', place('ca'), '--ca')).stdout, /before you renew their certificates/);
  t.match((await run('renew', place('ca'), '--retire')).stdout, /is trusted no more/);
});

for (const { args, code = 2, says } of [
  { args: [], says: /it is not said what to do\. The actions are init, request/ },
  { args: ['isue', 'ca'], says: /there is no action "isue"\. Did you mean issue\?/ },
  { args: ['list'], says: /no folder is named/ },
  { args: ['init', 'ca'], says: /--network is missing/ },
  { args: ['issue', 'ca'], says: /no node is named/ },
  { args: ['issue', 'ca', 'eu-1', '--role', 'edge'], says: /there is no key\. Give --request FILE/ },
  {
    args: ['issue', 'ca', 'eu-1', '--role', 'edge', '--with-key'],
    says: /--region is missing\. Write the region whose/,
  },
  {
    args: ['issue', 'ca', 'eu-1', '--role', 'egde', '--with-key'],
    says: /there is no role "egde"\. Did you mean edge\?/,
  },
  { args: ['issue', 'ca', 'eu-1', '--with-key'], says: /--role is missing\. The roles are edge/ },
  { args: ['request', 'tls', 'EU 1', '--network', 'demo'], says: /"EU 1" cannot be a name/ },
  {
    args: ['issue', 'CA', 'eu-1', '--role', 'edge', '--region', 'eu', '--request', '/nonexistent'],
    code: 1,
    says: /^seawall: \/nonexistent: there is no such file\. Fix: /,
  },
  { args: ['list', '/nonexistent'], code: 1, says: /\/nonexistent has no ca\.pem\. Name the folder/ },
]) {
  test(`seawall ca ${args.join(' ')} says what to write instead`, async (t) => {
    const { place, run } = authorityIn(t);
    if (args.includes('CA')) await run('init', place('ca'), '--network', 'demo');
    const given = args.map((one) => (one === 'CA' ? place('ca') : one));
    t.match(await run(...given), { code, stderr: says });
  });
}

import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { runCommand } from './process.ts';

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

  const other = await run('issue', place('ca'), 'control', '--role', 'control', '--with-key', '--out', place('tls'));
  t.equal(other.code, 0);
  t.equal(statSync(place('tls/control.key')).mode & 0o777, 0o600);
  t.match(
    await run('issue', place('ca'), 'control', '--role', 'control', '--with-key', '--out', place('tls')),
    { code: 1, stderr: /control\.key exists\. .*ca renew/ },
    'a key is never written over',
  );

  t.match((await run('renew', place('ca'))).stdout, /No certificate has to be renewed yet/);
  t.match((await run('renew', place('ca'), 'control', '--out', place('tls'))).stdout, /control: valid/);
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
    args: ['issue', 'ca', 'eu-1', '--role', 'egde', '--with-key'],
    says: /there is no role "egde"\. Did you mean edge\?/,
  },
  { args: ['issue', 'ca', 'eu-1', '--with-key'], says: /--role is missing\. The roles are edge/ },
  { args: ['request', 'tls', 'EU 1', '--network', 'demo'], says: /"EU 1" cannot be a name/ },
  {
    args: ['issue', 'CA', 'eu-1', '--role', 'edge', '--request', '/nonexistent'],
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

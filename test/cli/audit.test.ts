/** `seawall audit` beside a control node that runs, and on its files. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Test, test } from 'tap';
import { runCommand, startCommand } from './process.ts';

const REGION = [
  'region: eu',
  'network: acme',
  'tier_secret: a-secret-of-the-tests',
  'control: { listen: "127.0.0.1:0" }',
  'sites: [{ name: shop, hosts: ["www.example.com"], origin: { servers: [{ url: "http://127.0.0.1:1" }] } }]',
].join('\n');

const KEY = 'seawall/seawall-demo/audit+f92bdb23+AcvuMxg/3T7cmedgGYM2DhdsHbdHC72jD0KAXSaPVF88';

function commandIn(t: Test) {
  const folder = t.testdir({ 'eu.yaml': REGION });
  const place = (name: string): string => join(folder, name);
  const run = async (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const ran = await runCommand('cli/seawall.ts', args, { SEAWALL_TOKEN: '', SEAWALL_CONTROL: '', ...env });
    return { code: ran.code, stdout: ran.stdout.trimEnd(), stderr: ran.stderrLines.join('\n') };
  };
  return { file: place('eu.yaml'), place, run };
}

test('entries are verified while the control node runs, and in its files afterwards, up to the one that was changed', async (t) => {
  const { file, place, run } = commandIn(t);
  const token = (await run(['token', 'create', file, '--name', 'ops', '--all-sites', '--read'])).stdout;
  const started = await startCommand<Record<string, unknown>>(t, 'cli/seawall.ts', ['start', file]);
  const url = /"(?:http:\/\/)?(127\.0\.0\.1:\d+)"/.exec(JSON.stringify(started.ready))?.[1] as string;
  const env = { SEAWALL_TOKEN: token, SEAWALL_CONTROL: `http://${url}` };
  const asked = ['--control', `http://${url}`];
  t.equal((await run(['purge', '--site', 'shop', '--tag', 'a', '--no-wait'], env)).code, 0);
  t.equal((await run(['token', 'revoke', file, '0123456789abcdef'])).code, 1, 'there is no such token');

  const checkpoint = await run(['audit', 'checkpoint'], env);
  t.match(checkpoint.stdout, /^seawall\/acme\/audit\n[1-9]\d*\n[\w+/]{43}=\n\n— seawall\/acme\/audit [\w+/=]+$/);
  writeFileSync(place('kept'), `${checkpoint.stdout}\n`);
  const key = (await run(['audit', 'key', file])).stdout;
  t.match(key, /^seawall\/acme\/audit\+[0-9a-f]{8}\+[\w+/=]{44}$/);
  t.equal(statSync(place('seawall-data/audit.key')).mode & 0o777, 0o600);

  t.match(await run(['audit', 'verify', file]), { code: 1, stderr: /Its control node runs: give --control/ });
  const verified = await run(['audit', 'verify', file, ...asked, '--checkpoint', place('kept')], env);
  t.match(verified, {
    code: 0,
    stdout: /are as they were written; signed by seawall\/acme\/audit\+.*\nThe checkpoint of/,
  });
  const exported = await run(['audit', 'export', file, ...asked], env);
  writeFileSync(place('exported'), `${exported.stdout}\n`);
  t.match(await run(['audit', 'verify', '--export', place('exported'), '--key', key]), { code: 0 });
  writeFileSync(place('cut'), `${exported.stdout.split('\n').slice(0, -1).join('\n')}\n`);
  t.match(await run(['audit', 'verify', '--export', place('cut'), '--key', key]), {
    code: 1,
    stderr: /before its last line/,
  });
  const made = exported.stdout.split('\n').find((line) => line.includes('create token')) ?? '';
  t.match(JSON.parse((JSON.parse(made) as { entry: string }).entry), {
    action: 'create token',
    name: 'ops',
    node: 'control',
  });

  const weak = (await run(['token', 'create', file, '--name', 'ci', '--site', 'shop', '--read'])).stdout;
  t.match(await run(['audit', 'checkpoint'], { ...env, SEAWALL_TOKEN: weak }), {
    code: 1,
    stderr: /--all-sites --read/,
  });

  started.kill('SIGTERM');
  t.equal(await started.exitCode, 0);
  const whole = await run(['audit', 'verify', file, '--json', '--checkpoint', place('kept')]);
  t.match(JSON.parse(whole.stdout), { ok: true, signed_by: [key], finding: null });
  t.match(
    await run(['audit', 'verify', file, '--checkpoint', file]),
    { code: 1, stdout: /^audit_bad_checkpoint: [^(]*\(the checkpoint kept elsewhere: it is no signed note\)$/ },
    'what is wrong with a checkpoint names no entry',
  );
  change(place('seawall-data/journal.sqlite'), `UPDATE audit_entry SET entry = '{}' WHERE id = 1`);
  t.match(await run(['audit', 'verify', file]), { code: 1, stdout: /^audit_changed: .* The first is entry 1\.$/ });
  change(place('seawall-data/journal.sqlite'), 'DELETE FROM audit_entry WHERE id = 0');
  t.match(JSON.parse((await run(['audit', 'verify', file, '--json'])).stdout), {
    ok: false,
    finding: { code: 'audit_removed', first: 0 },
  });
});

function change(file: string, statement: string): void {
  const db = new DatabaseSync(file);
  db.exec(statement);
  db.close();
}

for (const { args, code = 2, says } of [
  { args: [], says: /it is not said what to do\. The actions are verify, export, checkpoint, key/ },
  { args: ['verfy'], says: /there is no action "verfy"\. Did you mean verify\?/ },
  { args: ['verify', '--export', 'x'], says: /no key is known\. Name the region file/ },
  { args: ['verify', '--key', 'x'], says: /--key: "x" is no public key/ },
  { args: ['export'], says: /no file is named/ },
  { args: ['checkpoint'], says: /there is no token\. Set SEAWALL_TOKEN/ },
  { args: ['key', 'FILE', 'more'], says: /"more" is not expected here/ },
  { args: ['verify', 'FILE'], says: /no key is known/ },
  {
    args: ['verify', '--key', KEY, '--export', '/nonexistent'],
    code: 1,
    says: /^seawall: \/nonexistent: there is no such file\. Fix: /,
  },
  {
    args: ['verify', '--key', KEY, '--export', '/'],
    code: 1,
    says: /^seawall: command line: this is a folder, not a file\. Fix: /,
  },
  {
    args: ['verify', '--key', KEY, '--checkpoint', '/nonexistent', '--export', '/nonexistent'],
    code: 1,
    says: /^seawall: \/nonexistent: there is no such file\. Fix: /,
  },
]) {
  test(`seawall audit ${args.join(' ')} says what to write instead`, async (t) => {
    const { file, run } = commandIn(t);
    const given = args.map((one) => (one === 'FILE' ? file : one));
    t.match(await run(['audit', ...given]), { code, stderr: says });
  });
}

for (const { key, value, says } of [
  {
    key: 'known_keys',
    value: '[nonsense]',
    says: /control\.audit_log\.known_keys\[0\].*it is no public key.*seawall audit key/,
  },
  { key: 'key_file', value: 'folder', says: /control\.audit_log\.key_file.*cannot be used/ },
]) {
  test(`a wrong ${key} is refused with the key and a fix`, async (t) => {
    const { file, place, run } = commandIn(t);
    mkdirSync(place('folder'));
    writeFileSync(file, REGION.replace('"127.0.0.1:0" }', `"127.0.0.1:0", audit_log: { ${key}: ${value} } }`));
    t.match(await run(['audit', 'key', file]), { code: 1, stderr: says });
  });
}

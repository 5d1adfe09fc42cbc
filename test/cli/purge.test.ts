import { test } from 'tap';
import { startTestControl } from '../control/control.ts';
import { freeAddress } from '../support/ports.ts';
import { regionFile, seawall } from './one-region.ts';

test('exit code 3 names the node that has not applied a purge', async (t) => {
  const control = await startTestControl(t);
  const { code, stdout } = await seawall(['purge', '--host', 'example.com', '--timeout', '1ms'], {
    SEAWALL_CONTROL: control.url,
    SEAWALL_TOKEN: control.token(),
  });
  t.equal(code, 3);
  t.match(stdout, /applied by 0 of 1 nodes so far\n {2}eu-1 {2}not yet: it does not follow/);
});

test('--no-wait ends with exit code 0 when the purge is in the journal', async (t) => {
  const control = await startTestControl(t);
  const { code, stdout } = await seawall(['purge', '--host', 'example.com', '--no-wait'], {
    SEAWALL_CONTROL: control.url,
    SEAWALL_TOKEN: control.token(),
  });
  t.equal(code, 0);
  t.match(stdout, /applied by 0 of 1 nodes so far/);
});

test('a dry run purges nothing', async (t) => {
  const control = await startTestControl(t);
  const { code, stdout } = await seawall(['purge', '--prefix', 'example.com/a', '--dry-run'], {
    SEAWALL_CONTROL: control.url,
    SEAWALL_TOKEN: control.token(),
  });
  t.equal(code, 0);
  t.match(stdout, /^Nothing was purged\. A purge of 1 prefix would concern 0 stored responses:\n {2}eu-1 {2}not known/);
});

test('a pattern is purged, or refused with what to write', async (t) => {
  const control = await startTestControl(t);
  const environment = { SEAWALL_CONTROL: control.url, SEAWALL_TOKEN: control.token() };
  const { code, stdout } = await seawall(['purge', '--pattern', 'example.com/*.css', '--dry-run'], environment);
  t.equal(code, 0);
  t.match(stdout, /^Nothing was purged\. A purge of 1 pattern would concern 0 stored responses:/);
  const refused = await seawall(['purge', '--pattern', '*.example.com/a'], environment);
  t.equal(refused.code, 1);
  t.match(refused.stderrLines.join('\n'), /--pattern.*no whole host before the first \*.*Write HOST\/PATH/s);
});

test('without a control node at the address nothing is purged, and the message says how to name another', async (t) => {
  const args = ['purge', '--token', 'x', '--host', 'a', '--control', `http://${await freeAddress()}`];
  const { code, stderrLines } = await seawall(args);
  t.equal(code, 1);
  t.match(stderrLines, [/does not answer \(.+\); nothing was purged\. .* --control or SEAWALL_CONTROL/]);
});

for (const { wrong, args, code, line } of [
  { wrong: 'no token', args: ['purge', '--host', 'a'], code: 2, line: 'there is no token. Set SEAWALL_TOKEN' },
  {
    wrong: 'no URL of a control node',
    args: ['purge', '--token', 'x', '--host', 'a', '--control', '127.0.0.1'],
    code: 2,
    line: /--control: "127.0.0.1" is not a URL/,
  },
  {
    wrong: 'nobody there',
    args: ['purge', '--token', 'x', '--host', 'a', '--control', 'http://127.0.0.1:1'],
    code: 1,
    line: /127\.0\.0\.1:1 does not answer \(.+\)/,
  },
  {
    wrong: 'a long wait',
    args: ['purge', '--token', 'x', '--host', 'a', '--timeout', '2h'],
    code: 2,
    line: /--timeout: "2h"/,
  },
  {
    wrong: 'nothing to purge',
    args: ['purge', '--site', 'shop'],
    code: 2,
    line: /Give --url, --tag, --prefix, --pattern, --host/,
  },
  { wrong: 'no action', args: ['token'], code: 2, line: /^seawall: it is not said what to do/ },
  { wrong: 'a slip', args: ['token', 'crate'], code: 2, line: 'there is no action "crate". Did you mean create?' },
  { wrong: 'no file', args: ['token', 'list'], code: 2, line: /no file is named/ },
  { wrong: 'no name', args: ['token', 'create', 'FILE', '--site', 'shop'], code: 2, line: /--name is missing/ },
  {
    wrong: 'no site',
    args: ['token', 'create', 'FILE', '--name', 'a'],
    code: 2,
    line: /Give --site \(shop\) or --all-sites/,
  },
  {
    wrong: 'an unknown site',
    args: ['token', 'create', 'FILE', '--name', 'a', '--site', 'shpo'],
    code: 2,
    line: /Did you mean shop\?/,
  },
  {
    wrong: 'an unknown kind',
    args: ['token', 'create', 'FILE', '--name', 'a', '--site', 'shop', '--kind', 'urls'],
    code: 2,
    line: /Did you mean url\?/,
  },
  {
    wrong: 'a name with a line break',
    args: ['token', 'create', 'FILE', '--name', 'a\nb', '--site', 'shop'],
    code: 2,
    line: /--name: "a\\nb" cannot be one/,
  },
] as { wrong: string; args: string[]; code: number; line: string | RegExp }[]) {
  test(`${wrong}: exit code ${code} and one line`, async (t) => {
    const file = regionFile(t);
    const ran = await seawall(args.map((arg) => (arg === 'FILE' ? file : arg)));
    t.equal(ran.code, code);
    t.equal(ran.stderrLines.length, 1, ran.stderrLines.join('\n'));
    t.match(ran.stderrLines[0], line);
  });
}

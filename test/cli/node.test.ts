/** `seawall node forget` and `seawall status`, as operators run them. */
import { test } from 'tap';
import { startTestControl } from '../control/control.ts';
import { runCommand } from './process.ts';

const seawall = (...args: string[]) => runCommand('cli/seawall.ts', args);

test('status names what is missing and what was refused; a node that is gone is forgotten', async (t) => {
  const control = await startTestControl(t, { edges: [undefined, undefined] });
  (await control.follow('eu-1')).leave();
  await t.rejects(control.follow('eu-9'));
  const at = ['--control', control.url];
  const shown = await seawall('status', ...at);
  t.match(shown, { code: 1, stdout: /^region +node +role +there +answers/ });
  t.match(shown.stdout, /^eu-2: a region file names it, and it has never registered$/m);
  t.match(shown.stdout, /^eu-1: it does not follow the journal here$/m);
  t.match(shown.stdout, /^refused: eu-9 \(127\.0\.0\.1:\d+\), peer_unknown, .*; 1 times, last at 20/m);
  const json = JSON.parse((await seawall('status', ...at, '--json')).stdout) as object;
  t.match(json, { regions: [{ region: 'eu' }], refused: [{ name: 'eu-9' }], control: [{ presence: 'present' }] });

  const token = ['--token', control.token({ kinds: ['drain'] })];
  t.match(await seawall('node', 'forget', 'eu-2', ...at, ...token), {
    code: 0,
    stdout: 'eu-2 is forgotten: receipts wait for it no more.\n',
  });
  t.match((await seawall('status', ...at)).stdout, /^eu +eu-2 +edge +forgotten/m);
  for (const { name, reason } of [
    { name: 'eu-1', reason: /The node is there\. Stop eu-1 first/ },
    { name: 'eu-7', reason: /There is no node "eu-7"/ },
  ]) {
    const refused = await seawall('node', 'forget', name, ...at, ...token);
    t.equal(refused.code, 1);
    t.match(refused.stderrLines, [reason]);
  }
});

for (const { args, reason } of [
  { args: ['node'], reason: /it is not said what to do/ },
  { args: ['node', 'forgt', 'eu-1'], reason: /Did you mean forget\?/ },
  { args: ['node', 'forget'], reason: /no node is named/ },
  { args: ['node', 'forget', 'eu-1'], reason: /there is no token/ },
  { args: ['node', 'forget', 'eu-1', 'eu-2', '--token', 'x'], reason: /"eu-2" is not expected here/ },
  { args: ['node', 'forget', 'eu-1', '--token', 'x', '--control', 'http://127.0.0.1:1'], reason: /does not answer/ },
]) {
  test(`what cannot be done is said with its fix: ${args.join(' ')}`, async (t) => {
    const ran = await runCommand('cli/seawall.ts', args, { SEAWALL_TOKEN: '' });
    t.not(ran.code, 0);
    t.match(ran.stderrLines.join(' '), reason);
  });
}

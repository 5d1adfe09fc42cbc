/** `seawall job`, from the shell to the caches of a network. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { JobAnswer } from '../../control/jobs/schemas.ts';
import { jobStage, STORED, urlOf } from '../support/jobs.ts';
import { UNREACHABLE } from '../support/origin.ts';
import { runCommand } from './process.ts';

const seawall = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  runCommand('cli/seawall.ts', ['job', ...args], { SEAWALL_TOKEN: '', SEAWALL_CONTROL: '', ...env });

test('URLs are warmed, and their job is shown, listed, and tried once more', async (t) => {
  let isDown = true;
  const { control, token, origin } = await jobStage(t, (request, response) => {
    if (request.url === '/down' && isDown) response.writeHead(503, { 'Cache-Control': 'no-store' }).end();
    else STORED(request, response);
  });
  const env = { SEAWALL_CONTROL: `http://${control.address}`, SEAWALL_TOKEN: token };
  const file = join(t.testdirName, 'urls.txt');
  writeFileSync(file, `# pages\n${urlOf('/a')}\r\n\n${urlOf('/b')}\n`);
  const done = await seawall(['warm', file, '--url', urlOf('/c'), '--region', 'us', '--reason', 'launch'], env);
  t.equal(done.code, 0, done.stderrLines.join('\n'));
  t.match(done.stdout, /^Job \S+: warm, done, 3 of 3: 3 stored, 0 fresh before, 0 not stored, 0 failed/);
  t.match(done.stderrLines.at(-1), /^100% 3 of 3$/);
  t.equal(origin.requests.length, 3);

  const failed = await seawall(['warm', '--url', urlOf('/down'), '--region', 'us', '--json'], env);
  t.equal(failed.code, 1);
  const { id } = JSON.parse(failed.stdout) as JobAnswer;
  t.match((await seawall(['show', id], env)).stdout, /us {2}ended, 1 done, 1 failed/);
  t.match(JSON.parse((await seawall(['results', id, '--failed'], env)).stdout), { url: urlOf('/down'), status: 503 });
  t.match(JSON.parse((await seawall(['dead'], env)).stdout), { job: id });
  t.match((await seawall(['list'], env)).stdout.trim().split('\n'), [new RegExp(`^${id} `), /launch|warm/]);
  isDown = false;
  const retried = await seawall(['retry', id], env);
  t.match(retried, { code: 0, stdout: /1 stored, 0 fresh before, 0 not stored, 0 failed/ });
  t.match(await seawall(['retry', id], env), { code: 1, stderrLines: [/Nothing of the job/, /nothing_to_retry/] });
  t.equal((await seawall(['dead'], env)).stdout, '');
  const queued = await seawall(['warm', '--url', urlOf('/e'), '--no-wait', '--json'], env);
  t.equal(queued.code, 0);
  const { id: other } = JSON.parse(queued.stdout) as JobAnswer;
  t.match((await seawall(['cancel', other], env)).stdout, /cancelled|done/);
});

test('what is wrong is said in the words of the command line', async (t) => {
  const { control, token } = await jobStage(t, STORED);
  const env = { SEAWALL_CONTROL: `http://${control.address}`, SEAWALL_TOKEN: token };
  const file = join(t.testdirName, 'urls.txt');
  writeFileSync(file, `${urlOf('/a')}\nhttps://other.test/\n`);
  for (const { args, says, more = env } of [
    { args: ['warm', file], says: /urls\.txt, URL 2: no site has the host other\.test/ },
    { args: ['warm', '--url', urlOf('/a'), '--region', 'usa'], says: /--region: .*Did you mean us/ },
    { args: ['warm', '--url', urlOf('/a'), '--rate', 'fast'], says: /--rate: "fast" is not a number/ },
    { args: ['warm', '--url', urlOf('/a'), '--rate', '0'], says: /--rate/ },
    { args: ['warm', 'no-such-file'], says: /no such file/ },
    { args: ['warm'], says: /no URL is named/ },
    { args: ['wram'], says: /Did you mean warm/ },
    { args: ['show'], says: /no job is named/ },
    { args: ['show', '../nodes'], says: /is no id of a job/ },
    { args: ['show', 'nothing'], says: /nothing at this address/ },
    { args: ['list', 'x'], says: /not expected/ },
    { args: ['list'], says: /there is no token/, more: {} },
    { args: ['list'], says: /does not answer/, more: { SEAWALL_CONTROL: UNREACHABLE, SEAWALL_TOKEN: 'swt_x' } },
    { args: ['list'], says: /no valid token/, more: { ...env, SEAWALL_TOKEN: 'swt_x' } },
  ]) {
    const ran = await seawall(args, more);
    t.not(ran.code, 0, args.join(' '));
    t.match(ran.stderrLines.join('\n'), says, args.join(' '));
  }
});

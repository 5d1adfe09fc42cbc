/** `seawall explain`: what it prints, and what it refuses. */
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { startOrigin, text } from '../support/origin.ts';
import { freePorts } from '../support/ports.ts';
import { runCommand, startCommand } from './process.ts';

interface Stage {
  readonly url: string;
  explain(...args: string[]): ReturnType<typeof runCommand>;
}

/** A region of one edge, with its control node, in one process. */
async function stage(t: Test): Promise<Stage> {
  const origin = await startOrigin(text('page', { 'Cache-Control': 'max-age=60', 'Cache-Tag': 'news', ETag: '"a"' }));
  t.teardown(() => origin.close());
  const [visitors, tier, control] = await freePorts(3);
  const region = `region: eu
tier_secret: a-secret-of-the-tests
control: { listen: '127.0.0.1:${control}' }
purges: { journal: ['http://127.0.0.1:${control}'] }
edges: [{ name: eu-1, listen: '127.0.0.1:${visitors}', tier: '127.0.0.1:${tier}', workers: 1 }]
sites:
  - name: shop
    hosts: [www.example.com]
    origin: { servers: [{ url: '${origin.url}' }] }
    key: { headers: [X-Variant] }
    rules:
      - path: /never/*
        cache: never
      - path: /*
        stale_if_error: 1h
`;
  const file = join(t.testdir({ 'eu.yaml': region }), 'eu.yaml');
  await startCommand<ReadyLine>(t, 'cli/seawall.ts', ['start', file]);
  const made = await runCommand('cli/seawall.ts', ['token', 'create', file, '--name', 'me', '--all-sites', '--read']);
  const env = { SEAWALL_TOKEN: made.stdout.trim(), SEAWALL_CONTROL: `http://127.0.0.1:${control}` };
  return {
    url: 'http://www.example.com/page',
    explain: (...args) => runCommand('cli/seawall.ts', ['explain', ...args], env),
  };
}

test('the request, its rule and key, what is stored and what a fetch made of it', async (t) => {
  const { url, explain } = await stage(t);
  const fetched = await explain(url, '-H', 'X-Variant: a', '--fetch');
  t.equal(fetched.code, 0, fetched.stderrLines.join('\n'));
  const { stdout } = fetched;
  for (const line of [
    /^http:\/\/www\.example\.com\/page$/m,
    /^ {2}site {6}shop$/m,
    /^ {2}rule {6}number 2, .*eu\.yaml:14$/m,
    /^ {2}key {7}http:\/\/www\.example\.com\/page\n {12}x-variant:a$/m,
    /^ {2}personal {2}no$/m,
    /^ {2}owners {4}eu-1$/m,
    /^eu-1 \(edge, eu\): fresh\. It answers\.$/m,
    /^ {2}stored: 200, 4 bytes, since 20\S+Z, "a"$/m,
    /^ {4}lifetime 60 s: `max-age` of the origin/m,
    /^ {4}stale it may answer if the origin fails 3600 s/m,
    /^ {4}tags news$/m,
    /^ {4}purges: No purge has named it/m,
    /^ {2}fetched: status 200\n {4}"eu-1";fwd=uri-miss;.*stored\n {6}Nothing is stored/m,
  ]) {
    t.match(stdout, line);
  }
  const other = await explain(url, '--json');
  t.match(JSON.parse(other.stdout), {
    region: 'eu',
    nodes: [{ name: 'eu-1', explanation: { lookup: { outcome: 'none' } } }],
  });
  t.match((await explain('http://www.example.com/never/x', '--head')).stdout, /rule {6}number 1, .*\(never cached\)/);
});

test('what is refused has the place in the command line, and what no edge would answer exits with 1', async (t) => {
  const { url, explain } = await stage(t);
  for (const [args, complaint] of [
    [['http://other.test/'], /URL: no region file has a site/],
    [[url, '--address', 'x'], /--address: expected an IP address/],
    [[url, '--region', 'us'], /--region: "us" is no region/],
    [[url, '-H', 'x'], /--header: "x" is no field/],
  ] as const) {
    const { code, stderrLines } = await explain(...args);
    t.equal(code, 1);
    t.match(stderrLines.join('\n'), complaint);
  }
  const refused = await explain('http://www.example.com/a/../b');
  t.equal(refused.code, 1);
  t.match(refused.stdout, /^ {2}refused {3}400 /m);
});

test('wrong arguments and a control node that is not there', async (t) => {
  for (const [args, complaint] of [
    [[], /no URL is given/],
    [['http://a.test/', 'http://b.test/'], /is not expected here/],
    [['http://a.test/', '-H'], /--header needs a value/],
  ] as const) {
    const ran = await runCommand('cli/seawall.ts', ['explain', ...args], { SEAWALL_TOKEN: 'x' });
    t.equal(ran.code, 2);
    t.match(ran.stderrLines.join('\n'), complaint);
  }
  const none = await runCommand('cli/seawall.ts', ['explain', 'http://a.test/', '--control', 'http://127.0.0.1:1'], {
    SEAWALL_TOKEN: 'x',
  });
  t.equal(none.code, 1);
  t.match(none.stderrLines.join('\n'), /does not answer/);
});

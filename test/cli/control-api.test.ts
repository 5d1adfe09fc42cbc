import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Test, test } from 'tap';
import { callControl, tokenOf } from '../../cli/control-api.ts';

test('a token is that of the option, else that of the environment', async (t) => {
  const before = process.env['SEAWALL_TOKEN'];
  t.teardown(() => {
    if (before === undefined) delete process.env['SEAWALL_TOKEN'];
    else process.env['SEAWALL_TOKEN'] = before;
  });
  process.env['SEAWALL_TOKEN'] = 'swt_environment';
  t.equal(tokenOf('swt_option'), 'swt_option');
  t.equal(tokenOf(undefined), 'swt_environment');
  t.throws(() => tokenOf('swt a\nb'), { code: 'cli_usage' });
  delete process.env['SEAWALL_TOKEN'];
  t.throws(() => tokenOf(undefined), { code: 'cli_usage' });
});

/** Address on which no process listens, and whose port `fetch` does not refuse by itself. */
const NOTHING = 'http://127.0.0.1:2';

async function serverOf(t: Test, location: string): Promise<{ url: URL; seen: string[] }> {
  const seen: string[] = [];
  const server = createServer(({ headers }, response) => {
    seen.push(headers.authorization ?? '');
    response.writeHead(302, { Location: location }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), seen };
}

test('a token is not sent where a redirect leads', async (t) => {
  const other = await serverOf(t, '/');
  const { url, seen } = await serverOf(t, other.url.href);
  t.match(await callControl(url, { token: 'swt_a' }), { reason: 'unexpected redirect', isRefused: false });
  t.same(seen, ['Bearer swt_a']);
  t.same(other.seen, []);
});

test('a call that nothing was there to take has had no effect', async (t) => {
  t.match(await callControl(new URL(NOTHING), { token: 'swt_a' }), { isRefused: true });
});

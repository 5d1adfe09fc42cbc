/** A node that has lost the journal for longer than its lease (rule 7 of docs/purging.md). */
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { freeAddress } from '../support/ports.ts';
import { ask } from '../support/visitor.ts';

const LEASE_MS = 1_500;

/** An edge that never reaches a journal, in front of an origin that confirms what it has sent. */
async function lost(without_journal: 'validate' | 'strict', fields: string) {
  const origin = await startOrigin((request, response) => {
    const status = request.headers['if-none-match'] === '"1"' ? 304 : 200;
    response.writeHead(status, { 'Cache-Control': fields, ETag: '"1"' }).end(status === 200 ? 'page' : '');
  });
  const network = await startNetwork({
    origin: origin.url,
    regions: { eu: 1 },
    shields: 0,
    journal: await freeAddress(),
    purges: { lease: `${LEASE_MS}ms`, without_journal },
  });
  return { origin, network, page: () => ask(network.at('eu-1'), '/') };
}

test('validate: each response is revalidated once a lease', async (t) => {
  const { origin, network, page } = await lost('validate', 'max-age=600');
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (let i = 0; i < 5; i++) t.match(await page(), { status: 200, text: 'page' });
  t.equal(origin.requests.length, 1);
  await pause(LEASE_MS + 100); // the lease is over: time is what this is about
  for (let i = 0; i < 5; i++) t.match(await page(), { status: 200, text: 'page' });
  t.equal(origin.requests.length, 2);
});

test('strict: each use is revalidated', async (t) => {
  const { origin, network, page } = await lost('strict', 'max-age=600');
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (let i = 0; i < 5; i++) t.match(await page(), { status: 200, text: 'page' });
  t.equal(origin.requests.length, 5);
});

for (const { without_journal, fields, status, detail } of [
  { without_journal: 'validate', fields: 'max-age=600, stale-if-error=600', status: 200, detail: /detail=unverified/ },
  { without_journal: 'validate', fields: 'max-age=1, stale-if-error=600', status: 200, detail: /detail=unverified/ },
  { without_journal: 'validate', fields: 'max-age=1', status: 502, detail: /origin_unreachable/ },
  { without_journal: 'strict', fields: 'max-age=600, stale-if-error=600', status: 502, detail: /origin_unreachable/ },
] as const) {
  test(`${without_journal}, ${fields}: when the origin fails as well, ${status}`, async (t) => {
    const { origin, network, page } = await lost(without_journal, fields);
    t.teardown(() => network.close());
    t.match(await page(), { status: 200 });
    await origin.close();
    await pause(LEASE_MS + 100);
    for (let i = 0; i < 2; i++) t.match(await page(), { status, headers: { 'cache-status': detail } });
  });
}

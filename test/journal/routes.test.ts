import fc from 'fast-check';
import { type Test, test } from 'tap';
import { TIER_FIELD } from '../../http/fields/tier-field.ts';
import { journalClient } from '../../journal/client.ts';
import type { Purge } from '../../journal/journal.ts';
import { journalRoutes, serveRoutes } from '../../journal/routes.ts';
import { APPLIED_PATH, formatNodeField, JOURNAL_CONTENT_TYPE, JOURNAL_PATH, PURGES_PATH } from '../../journal/wire.ts';
import { bySecret } from '../../trust/authentication.ts';
import { SECRET, startTestControl } from '../control/control.ts';
import { aPurge } from './contract.ts';
import { newJournal, serve } from './served.ts';

const JSON_TYPE = 'application/json';

interface Mounted {
  readonly url: string;
  readonly secret: string;
}

/** The routes on a server that has nothing else, as an edge of several processes mounts them. */
async function onTheirOwn(t: Test): Promise<Mounted> {
  const secret = 'of a test';
  const journal = newJournal(t);
  const routes = journalRoutes({
    journal,
    authentication: bySecret(() => secret),
    signal: new AbortController().signal,
    followed: () => () => undefined,
    reported: () => undefined,
    append: (purges) => journal.append(purges),
  });
  const { url } = await serve(
    t,
    serveRoutes(routes, (error) => t.fail(String(error))),
  );
  return { url, secret };
}

async function onControl(t: Test): Promise<Mounted> {
  const { url } = await startTestControl(t);
  return { url, secret: SECRET };
}

const purge = { ...aPurge(), soft: false };

interface Call {
  readonly what: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly type?: string;
  readonly body?: string;
  readonly stranger?: boolean;
  readonly status: number;
}

const CALLS: readonly Call[] = [
  { what: 'a purge', method: 'POST', path: PURGES_PATH, body: JSON.stringify({ purges: [purge] }), status: 200 },
  { what: 'no purge', method: 'POST', path: PURGES_PATH, body: '{"purges":[]}', status: 400 },
  { what: 'no object', method: 'POST', path: PURGES_PATH, body: '7', status: 400 },
  { what: 'no JSON', method: 'POST', path: PURGES_PATH, body: '{', status: 400 },
  { what: 'no body', method: 'POST', path: PURGES_PATH, body: '', status: 400 },
  { what: 'a body of 5 MiB', method: 'POST', path: PURGES_PATH, body: ' '.repeat(5 * 2 ** 20), status: 413 },
  { what: 'a stranger’s purge', method: 'POST', path: PURGES_PATH, body: '{}', stranger: true, status: 403 },
  {
    what: 'a report of nothing',
    method: 'POST',
    path: APPLIED_PATH,
    type: JOURNAL_CONTENT_TYPE,
    body: '',
    status: 204,
  },
  { what: 'a bad report', method: 'POST', path: APPLIED_PATH, type: JOURNAL_CONTENT_TYPE, body: '{}\n', status: 400 },
  { what: 'a stranger’s report', method: 'POST', path: APPLIED_PATH, body: '', stranger: true, status: 403 },
  { what: 'a stranger who follows', method: 'GET', path: `${JOURNAL_PATH}?after=0`, stranger: true, status: 403 },
  { what: 'a position that is none', method: 'GET', path: `${JOURNAL_PATH}?after=x`, status: 400 },
  { what: 'another path', method: 'GET', path: '/v1/other', status: 404 },
];

for (const [where, mount] of Object.entries({ 'on their own': onTheirOwn, 'at a control node': onControl })) {
  test(`the routes of the journal ${where} answer alike`, async (t) => {
    const { url, secret } = await mount(t);
    for (const { what, method, path, type = JSON_TYPE, body, stranger = false, status } of CALLS) {
      const field = formatNodeField('eu-1', stranger ? 'another secret' : secret);
      const headers = { [TIER_FIELD]: field, ...(body === undefined ? {} : { 'Content-Type': type }) };
      const answer = await fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
      await answer.arrayBuffer();
      t.equal(answer.status, status, what);
    }
  });

  test(`appends of a client ${where}, in any portions, are read back in order`, async (t) => {
    const { url, secret } = await mount(t);
    const client = journalClient({ url, secret, node: 'eu-1' });
    t.teardown(() => client.close());
    const sent: string[] = [];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 1_500 }), { minLength: 1, maxLength: 3 }), async (sizes) => {
        let last = { identity: undefined as string | undefined, seq: 0 };
        for (const size of sizes) {
          const purges = Array.from({ length: size }, (_, i): Purge => ({ ...purge, selector: `t${sent.length + i}` }));
          sent.push(...purges.map(({ selector }) => selector));
          last = await client.append(purges);
        }
        const reading = new AbortController();
        const read: string[] = [];
        for await (const message of client.messages({ identity: undefined, seq: 0 }, reading.signal)) {
          if (message.type === 'records') read.push(...message.records.map(({ selector }) => selector));
          if (read.length >= sent.length) break;
        }
        reading.abort();
        return last.seq === sent.length && read.join() === sent.join();
      }),
      { numRuns: 4 },
    );
    t.pass();
  });
}

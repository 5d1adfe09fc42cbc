/** Addresses for nodes: which nodes may use them, and reports that count. */
import { Readable } from 'node:stream';
import { test } from 'tap';
import { request } from 'undici';
import type { Receipt } from '../../control/schemas.ts';
import { TIER_FIELD } from '../../http/fields/tier-field.ts';
import { APPLIED_PATH, formatNodeField, JOURNAL_CONTENT_TYPE } from '../../journal/wire.ts';
import { SECRET, startTestControl } from './control.ts';

const PAGE = 'https://www.example.com/';

test('nodes authenticate by the secret', async (t) => {
  const control = await startTestControl(t);
  for (const init of [{}, { headers: { 'Seawall-Tier': 'secret="wrong-but-long-enough", from="eu-1"' } }]) {
    t.equal((await fetch(`${control.url}/v1/journal?after=0`, init)).status, 403);
    const report = { ...init, method: 'POST', body: '{"node":"eu-1","identity":"x","seq":1}' };
    t.equal((await fetch(`${control.url}/v1/journal/applied`, report)).status, 403);
  }
});

test('reports count as they arrive, and a wrong one ends the call', async (t) => {
  const control = await startTestControl(t);
  const node = await control.follow('eu-1');
  const asked = control.purge({ files: [PAGE], wait: 'applied' });
  await node.received(1);
  const applied = Promise.withResolvers<void>();
  const call = request(`${control.url}${APPLIED_PATH}`, {
    method: 'POST',
    headers: { [TIER_FIELD]: formatNodeField('eu-1', SECRET), 'content-type': JOURNAL_CONTENT_TYPE },
    body: Readable.from(
      (async function* () {
        yield `{"node":"eu-1","identity":${JSON.stringify(node.identity)},`;
        yield '"seq":1}\n';
        await applied.promise;
        yield '{"node":"eu-1","identity":"x","seq":-1}\n';
      })(),
    ),
  });
  t.match((await asked).body, { status: 'applied' });
  applied.resolve();
  const { statusCode, body } = await call;
  t.equal(statusCode, 400);
  t.match(await body.json(), { detail: /seq/ });
});

test('reports of another journal do not count', async (t) => {
  const control = await startTestControl(t);
  const node = await control.follow('eu-1');
  const { body } = await control.purge({ files: [PAGE] });
  await node.applied(1, 'another-journal');
  t.match((await control.get<Receipt>(`/v1/purges/${body.id}`)).body, {
    status: 'pending',
    nodes: [{ applied: false }],
  });
  await node.applied(1);
  t.match((await control.get<Receipt>(`/v1/purges/${body.id}`)).body, { status: 'applied' });
});

/** Operators have nodes forgotten that are gone. */
import { test } from 'tap';
import type { Receipt } from '../../control/schemas.ts';
import { type Refusal, startTestControl } from './control.ts';
import { nodeOf } from './network-of.ts';

const PURGE = { files: ['https://www.example.com/'] };

test('a node is there, then missing, is waited for, and is waited for no more when it is forgotten, until it is back', async (t) => {
  const control = await startTestControl(t, { edges: [undefined, undefined] });
  const operator = control.token({ name: 'operator', kinds: ['drain'] });
  t.match(await nodeOf(control.url, 'eu-2'), { presence: 'never_seen', named: true });
  const staying = await control.follow('eu-1');
  const leaving = await control.follow('eu-2');
  t.match(await nodeOf(control.url, 'eu-2'), { presence: 'present', connected: true });
  t.match(await control.post<Refusal>('/v1/nodes/eu-2/forget', operator), {
    status: 409,
    body: { code: 'node_present' },
  });
  leaving.leave();
  while ((await nodeOf(control.url, 'eu-2'))?.connected) await new Promise(setImmediate);
  await control.close();

  const again = await control.restart();
  t.match(await nodeOf(again.url, 'eu-2'), { presence: 'unknown', connected: false });
  const back = await again.follow('eu-1');
  await again.purge(PURGE);
  await back.applied(1);
  const receiptOf = async (): Promise<Receipt> => (await again.purge({ ...PURGE, dry_run: false })).body;
  t.match(await receiptOf(), { status: 'pending', nodes: [{ name: 'eu-1' }, { name: 'eu-2', applied: false }] });
  t.match(await again.post('/v1/nodes/eu-2/forget', again.token()), { status: 403, body: { code: 'forbidden' } });
  t.match(await again.post('/v1/nodes/eu-9/forget', operator), { status: 404, body: { code: 'not_found' } });
  t.match(await again.post('/v1/nodes/eu-2/forget', operator), { status: 200, body: { forgotten: 'eu-2' } });
  t.match(await nodeOf(again.url, 'eu-2'), { presence: 'forgotten' });
  await back.applied(2);
  t.match((await again.get<{ purges: object[] }>('/v1/purges')).body.purges, [
    { status: 'applied' },
    { status: 'applied' },
  ]);
  t.equal((await receiptOf()).nodes.length, 1);

  await again.follow('eu-2');
  t.match(await nodeOf(again.url, 'eu-2'), { presence: 'present' });
  t.match(await receiptOf(), { status: 'pending', nodes: [{ name: 'eu-1' }, { name: 'eu-2' }] });
  const { body } = await again.get<{ entries: object[] }>('/v1/audit');
  const actions = body.entries.filter((entry) => 'member' in entry);
  t.match(actions, [
    { action: 'register node', member: 'eu-2' },
    { action: 'forget node', member: 'eu-2', result: 'ok', who: 'operator' },
    { action: 'forget node', member: 'eu-9', result: 'not_found' },
    { action: 'forget node', member: 'eu-2', result: 'forbidden' },
    { action: 'forget node', member: 'eu-2', result: 'node_present' },
    { action: 'register node', member: 'eu-2' },
    { action: 'register node', member: 'eu-1' },
  ]);
  staying.leave();
});

/** Authorisation of purges: tokens, their scopes, their limits, and the audit log. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { openControlDatabase } from '../../control/data-folder.ts';
import type { Page, Receipt } from '../../control/schemas.ts';
import { SqliteTokens } from '../../control/store/sqlite-tokens.ts';
import { Tokens } from '../../control/tokens.ts';
import { wallNow } from '../../lib/clock.ts';
import { type Control, type Refusal, regionOf, startTestControl } from './control.ts';

const URL = 'https://www.example.com/';

const as = (token: string) => ({ authorization: `Bearer ${token}` });

function auditOf({ folder }: Control): Record<string, unknown>[] {
  const lines = readFileSync(join(folder, 'audit.jsonl'), 'utf8').trim().split('\n');
  return lines.filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>);
}

for (const { wrong, header } of [
  { wrong: 'none', header: () => ({ authorization: '' }) },
  { wrong: 'another scheme', header: (token: string) => ({ authorization: `Basic ${token}` }) },
  { wrong: 'nonsense', header: () => as('nonsense') },
  { wrong: 'a changed secret', header: (token: string) => as(`${token.slice(0, -2)}AA`) },
  { wrong: 'another id', header: (token: string) => as(token.replace(/_[0-9a-f]{16}_/, '_0123456789abcdef_')) },
  { wrong: 'more than the token', header: (token: string) => as(`${token}A`) },
]) {
  test(`a wrong token (${wrong}) is 401, before the body is read`, async (t) => {
    const control = await startTestControl(t);
    const { status, headers, body } = await control.purge<Refusal>('{', header(control.token()));
    t.equal(status, 401);
    t.equal(headers.get('www-authenticate'), 'Bearer realm="seawall"');
    t.match(body, { code: 'unauthorised' });
    t.match(auditOf(control), [{ action: 'authenticate', result: 'unauthorised', address: '127.0.0.1' }]);
  });
}

test('a token ends, by time or by revocation', async (t) => {
  const control = await startTestControl(t);
  const expired = control.token({ expires: Date.now() });
  t.equal((await control.purge({ files: [URL] }, as(expired))).status, 401);
  const token = control.token({ expires: Date.now() + 60_000 });
  t.equal((await control.purge({ files: [URL] }, as(token))).status, 202);
  control.revoke(token);
  t.equal((await control.purge({ files: [URL] }, as(token))).status, 401);
});

test('the secret of a token is not on disk', async (t) => {
  const control = await startTestControl(t);
  const token = control.token();
  await control.purge({ files: [URL] }, as(token));
  await control.close();
  const secret = token.split('_').slice(2).join('_');
  for (const file of readdirSync(control.folder)) {
    t.notOk(readFileSync(join(control.folder, file)).includes(secret), file);
  }
});

for (const { what, scope, body, pointers } of [
  { what: 'another site', scope: { sites: ['blog'] }, body: { files: [URL] }, pointers: ['/files/0'] },
  {
    what: 'one of several URLs',
    scope: { sites: ['blog'] },
    body: { files: ['https://blog.example.com/', URL] },
    pointers: ['/files/1'],
  },
  {
    what: 'another kind',
    scope: { kinds: ['url'] },
    body: { site: 'shop', files: [URL], tags: ['a'], hosts: ['example.com'], purge_everything: true },
    pointers: ['/tags/0', '/hosts/0', '/purge_everything'],
  },
  {
    what: 'a variant',
    scope: { kinds: ['tag'] },
    body: { files: [{ url: URL, headers: { a: 'b' } }] },
    pointers: ['/files/0'],
  },
  {
    what: 'all sites at once',
    scope: { sites: ['shop', 'blog'] },
    body: { purge_everything: true },
    pointers: ['/purge_everything'],
  },
  { what: 'a dry run too', scope: { sites: ['blog'] }, body: { files: [URL], dry_run: true }, pointers: ['/files/0'] },
] as const) {
  test(`a token without the scope (${what}) is 403, and nothing is purged`, async (t) => {
    const control = await startTestControl(t);
    const { status, body: refusal } = await control.purge<Refusal>(body, as(control.token(scope)));
    t.equal(status, 403);
    t.equal(refusal.code, 'forbidden');
    t.strictSame(
      refusal.errors?.map(({ pointer }) => pointer),
      pointers,
    );
    t.match((await control.get<{ journal: object }>('/healthz')).body, { journal: { newest: 0 } });
    t.match(auditOf(control).at(-1), { action: 'purge', result: 'forbidden', who: 'test' });
  });
}

test('receipts are readable with the scope for them, and for a token’s own sites', async (t) => {
  const control = await startTestControl(t);
  const ofShop = (await control.purge({ files: [URL] })).body;
  const ofBlog = (await control.purge({ hosts: ['blog.example.com'] })).body;
  await control.purge({ files: [URL, 'https://blog.example.com/'] });
  await control.purge({ purge_everything: true });

  const blind = control.token({ read: false });
  t.equal((await control.get(`/v1/purges/${ofShop.id}`, blind)).status, 403);
  t.equal((await control.get('/v1/purges', blind)).status, 403);

  const shopkeeper = control.token({ sites: ['shop'] });
  t.equal((await control.get<Receipt>(`/v1/purges/${ofShop.id}`, shopkeeper)).status, 200);
  t.equal((await control.get(`/v1/purges/${ofBlog.id}`, shopkeeper)).status, 404);
  const { body } = await control.get<Page>('/v1/purges', shopkeeper);
  t.strictSame(
    body.purges.map(({ id }) => id),
    [ofShop.id],
  );
});

test('the audit log has who, what, from where and the result', async (t) => {
  const control = await startTestControl(t);
  const token = control.token({ name: 'deploy' });
  const { body } = await control.purge({ files: Array.from({ length: 20 }, (_, i) => `${URL}${i}`) }, as(token));
  await control.purge({ hosts: ['nowhere.example'] }, as(token));
  const [done, refused] = auditOf(control);
  t.match(done, {
    time: /^\d{4}-\d\d-\d\dT/,
    who: 'deploy',
    token: token.split('_')[1],
    address: '127.0.0.1',
    dialect: 'seawall',
    result: 'ok',
    id: body.id,
    count: 20,
  });
  t.equal((done?.['selectors'] as unknown[]).length, 10, 'the journal has the others');
  t.match(refused, { result: 'unpurgeable', who: 'deploy' });
});

test('calls above the limit are 429 with Retry-After', async (t) => {
  const control = await startTestControl(t, { control: { rate_limits: { calls: 1 } } });
  const answers = [];
  const token = as(control.token());
  for (let i = 0; i < 8; i += 1) answers.push(await control.purge<Refusal>({ files: [URL] }, token));
  const refused = answers.filter(({ status }) => status === 429);
  t.ok(refused.length >= 1);
  t.match(refused[0]?.body, { code: 'rate_limited' });
  t.match(refused[0]?.headers.get('retry-after'), /^[1-9]\d*$/);
  t.equal((await control.purge({ files: [URL] }, as(control.token()))).status, 202, 'another token has its own');
});

test('a call with more selectors than the limit is refused as a whole', async (t) => {
  const control = await startTestControl(t, { control: { rate_limits: { selectors: 1 } } });
  const token = as(control.token());
  const files = Array.from({ length: 600 }, (_, i) => `${URL}${i}`);
  t.equal((await control.purge({ files }, token)).status, 202);
  t.equal((await control.purge({ files }, token)).status, 429);
  t.match((await control.get<object>('/healthz')).body, { journal: { newest: 600 } });
});

test('a reload changes limits and bounds', async (t) => {
  const control = await startTestControl(t);
  const token = as(control.token());
  const many = async () =>
    (await Promise.all(Array.from({ length: 30 }, () => control.purge({ files: [URL] }, token)))).map(
      ({ status }) => status,
    );
  t.notOk((await many()).includes(429));
  t.equal(auditOf(control).length, 30);
  const file = join(dirname(control.folder), 'eu.yaml');
  control.reload([regionOf({ file, control: { rate_limits: { calls: 1 }, audit_log: { max_size: '1B', files: 2 } } })]);
  t.ok((await many()).includes(429));
  t.equal(auditOf(control).length, 1, 'each entry begins a file of its own');
});

test('tokens are shared by two processes', async (t) => {
  const file = join(t.testdir({}), 'control.sqlite');
  const [one, two] = [openControlDatabase(file), openControlDatabase(file)];
  t.teardown(() => {
    one.close();
    two.close();
  });
  const [here, there] = [one, two].map((db) => new Tokens(new SqliteTokens(db), wallNow)) as [Tokens, Tokens];
  const { text, token } = await here.create({ name: 'a', sites: ['*'], kinds: ['url'], read: false });
  t.match(await there.find(text), { id: token.id, kinds: ['url'], read: false });
  t.ok(await there.revoke(token.id));
  t.notOk(await there.revoke(token.id));
  t.equal(await here.find(text), undefined);
});

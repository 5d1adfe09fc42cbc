/** Addresses of jobs: what they take, what they refuse, and what the audit log says of it. */
import { join } from 'node:path';
import { type Test, test } from 'tap';
import type { JobAnswer } from '../../../control/jobs/schemas.ts';
import { JOB, SCOPE_KINDS } from '../../../control/tokens.ts';
import { TIER_FIELD } from '../../../http/fields/tier-field.ts';
import { formatNodeField } from '../../../journal/wire.ts';
import { type Answer, type Control, type Refusal, regionOf, SECRET, startTestControl } from '../control.ts';

interface Stage {
  readonly control: Control;
  readonly token: string;
  post<Body = JobAnswer>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<Body>>;
  get<Body = JobAnswer>(path: string): Promise<Answer<Body>>;
}

async function stage(t: Test, config: object = {}): Promise<Stage> {
  const file = join(t.testdir({}), 'eu.yaml');
  const control = await startTestControl(t, { ...regionOf({ file }), control: config, edges: [undefined, undefined] });
  const token = control.token({ kinds: [...SCOPE_KINDS, JOB] });
  return {
    control,
    token,
    post: (path, body, headers = {}) => posted(control, token, path, body, headers),
    get: (path) => control.get(path, token),
  };
}

async function posted<Body>(
  control: Control,
  token: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<Body>> {
  const response = await fetch(`${control.url}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: JSON.parse(text) as Body };
}

const URL_1 = 'https://www.example.com/a';
const WARM = { kind: 'warm', urls: [URL_1] };

test('a job is taken, shown, listed, cancelled; each is in the audit log', async (t) => {
  const { post, get, control } = await stage(t);
  const urls = [URL_1, `${URL_1}#part`, 'https://blog.example.com/ä b'.replace(' ', '%20'), URL_1];
  const made = await post('/v1/jobs', { kind: 'warm', urls, reason: 'launch' });
  t.match([made.status, made.headers.get('location')], [202, `/v1/jobs/${made.body.id}`]);
  t.match(made.body, { state: 'running', total: 2, done: 0, sites: ['shop', 'blog'], reason: 'launch' });
  t.match((await get(`/v1/jobs/${made.body.id}`)).body, { id: made.body.id, regions: [{ region: 'eu', node: null }] });
  t.match((await get('/v1/jobs')).body, { jobs: [{ id: made.body.id }], next: null });
  t.match((await post(`/v1/jobs/${made.body.id}/cancel`)).body, { state: 'cancelled' });
  t.match(await post<Refusal>(`/v1/jobs/${made.body.id}/retry`), { status: 409, body: { code: 'nothing_to_retry' } });
  const actions = async (): Promise<unknown[]> => {
    const { body } = await control.get<{ entries: { action: string; result: string; job?: string }[] }>('/v1/audit');
    return body.entries.map(({ action, result, job }) => [action, result, job === made.body.id]);
  };
  while ((await actions()).length < 3); // a job is noted in its transaction, and appended to the log by the second
  t.same(
    new Set(await actions()),
    new Set([
      ['create job', 'ok', true],
      ['cancel job', 'ok', true],
      ['retry job', 'nothing_to_retry', true],
    ]),
  );
});

test('jobs are listed in pages, newest first', async (t) => {
  const { post, get } = await stage(t);
  const ids: string[] = [];
  for (let index = 0; index < 5; index += 1) ids.unshift((await post('/v1/jobs', WARM)).body.id);
  type Page = { jobs: { id: string }[]; next: string | null };
  const first = (await get<Page>('/v1/jobs?limit=3')).body;
  const second = (await get<Page>(`/v1/jobs?limit=3&cursor=${first.next}`)).body;
  t.same(new Set([...first.jobs, ...second.jobs].map(({ id }) => id)), new Set(ids));
  t.match([first.jobs.length, second.jobs.length, second.next], [3, 2, null]);
});

test('a call with the same idempotency key is answered with the same job, and another body is refused', async (t) => {
  const { post } = await stage(t);
  const key = { 'idempotency-key': 'k-1' };
  const made = await post('/v1/jobs', WARM, key);
  const again = await post('/v1/jobs', { ...WARM }, key);
  t.equal(again.body.id, made.body.id);
  t.equal(again.headers.get('idempotent-replayed'), 'true');
  t.match(await post('/v1/jobs', { ...WARM, rate: 7 }, key), { status: 422, body: { code: 'idempotency_conflict' } });
  t.match(await post('/v1/jobs', WARM, { 'idempotency-key': ' '.repeat(3) }), { status: 400 });
});

const MANY = Array.from({ length: 100_001 }, (_, index) => `https://www.example.com/${index}`);

for (const { what, body, status, code, says } of [
  {
    what: 'a host of no site',
    body: { ...WARM, urls: ['https://other.test/'] },
    status: 422,
    code: 'unfetchable',
    says: /no site/,
  },
  {
    what: 'an address of the machine',
    body: { ...WARM, urls: ['http://127.0.0.1:8900/'] },
    status: 422,
    code: 'unfetchable',
    says: /no site/,
  },
  {
    what: 'no URL',
    body: { ...WARM, urls: ['www.example.com/a'] },
    status: 422,
    code: 'unfetchable',
    says: /whole URL/,
  },
  {
    what: 'a file',
    body: { ...WARM, urls: ['file:///etc/passwd'] },
    status: 422,
    code: 'unfetchable',
    says: /whole URL/,
  },
  {
    what: 'a dot segment',
    body: { ...WARM, urls: ['https://www.example.com/a/../b'] },
    status: 422,
    code: 'unfetchable',
    says: /dot|\.\./,
  },
  {
    what: 'a line break',
    body: { ...WARM, urls: ['https://www.example.com/\r\nx: y'] },
    status: 422,
    code: 'unfetchable',
    says: /control/,
  },
  {
    what: 'one URL too many',
    body: { ...WARM, urls: MANY },
    status: 400,
    code: 'too_many_urls',
    says: /100001|100,001/,
  },
  { what: 'no URLs', body: { ...WARM, urls: [] }, status: 400, code: 'invalid_request', says: /urls/ },
  {
    what: 'an unknown region',
    body: { ...WARM, regions: ['eux'] },
    status: 422,
    code: 'unfetchable',
    says: /Did you mean eu/,
  },
  { what: 'a rate of 0', body: { ...WARM, rate: 0 }, status: 400, code: 'invalid_request', says: /rate/ },
  { what: 'an unknown kind', body: { ...WARM, kind: 'warn' }, status: 400, code: 'invalid_request', says: /warm/ },
  { what: 'an unknown member', body: { ...WARM, url: 'x' }, status: 400, code: 'invalid_request', says: /url/ },
  {
    what: 'a line break in Accept-Encoding',
    body: { ...WARM, accept_encoding: ['br\r\na: b'] },
    status: 400,
    code: 'invalid_request',
    says: /accept_encoding/,
  },
  { what: 'no JSON', body: '{', status: 400, code: 'malformed_json', says: /JSON/ },
  { what: 'null', body: 'null', status: 400, code: 'invalid_request', says: /found nothing/ },
]) {
  test(`a job with ${what} is refused, and nothing is started`, async (t) => {
    const { post, get } = await stage(t);
    const refused = await post<Refusal>('/v1/jobs', body);
    t.match(refused, { status, body: { code } });
    t.match(JSON.stringify(refused.body), says);
    t.match((await get('/v1/jobs')).body, { jobs: [] });
  });
}

test('100,000 URLs are one job', async (t) => {
  const { post } = await stage(t);
  t.match(await post('/v1/jobs', { ...WARM, urls: MANY.slice(1) }), { status: 202, body: { total: 100_000 } });
});

test('a token may do what it says: start jobs, of its sites, and read them', async (t) => {
  const { control, post } = await stage(t);
  const { id } = (await post('/v1/jobs', WARM)).body;
  const start = (token: string, urls = [URL_1]) => posted<Refusal>(control, token, '/v1/jobs', { ...WARM, urls });
  t.match(await start(control.token()), { status: 403, body: { code: 'forbidden' } }, 'purges only');
  const blog = control.token({ kinds: [JOB], sites: ['blog'], read: false });
  t.match(await start(blog), { status: 403, body: { errors: [{ pointer: '/urls/0' }] } }, 'another site');
  t.match(await start(blog, ['https://blog.example.com/']), { status: 202 });
  t.match(await start('swt_nonsense'), { status: 401 });
  t.match(await control.get('/v1/jobs', blog), { status: 403 }, 'it may not read');
  const reader = control.token({ kinds: [], sites: ['blog'] });
  t.match((await control.get<{ jobs: object[] }>('/v1/jobs', reader)).body.jobs.length, 1, 'of its site only');
  t.match(await control.get(`/v1/jobs/${id}`, reader), { status: 404 });
  t.match(await control.get(`/v1/jobs/${id}/results`, reader), { status: 404 });
  t.match(await posted(control, blog, `/v1/jobs/${id}/cancel`, undefined), { status: 404 });
  t.match(await posted(control, reader, `/v1/jobs/${id}/cancel`, undefined), { status: 403 });
  const purger = control.token({ kinds: [JOB] });
  t.match(await posted(control, purger, '/v1/purges', { files: [URL_1] }), { status: 403 }, 'no purge with it');
});

test('more jobs than may be under way are refused, until one ends', async (t) => {
  const { post } = await stage(t, { jobs: { max_active: 2 } });
  const { id } = (await post('/v1/jobs', WARM)).body;
  await post('/v1/jobs', WARM);
  t.match(await post<Refusal>('/v1/jobs', WARM), { status: 429, body: { code: 'too_many_jobs' } });
  await post(`/v1/jobs/${id}/cancel`);
  t.match(await post('/v1/jobs', WARM), { status: 202 });
});

test('a job of no id is not there', async (t) => {
  const { get, post } = await stage(t);
  for (const id of ['x', '000000000-000000000000', '%2e%2e', '..%2fjob', 'dead-letters-x'])
    t.match(await get(`/v1/jobs/${id}`), { status: 404 }, id);
  t.match(await post('/v1/jobs/000000000-000000000000/retry'), { status: 404 });
});

test('a restart of the control node loses no job', async (t) => {
  const { control, post, token } = await stage(t);
  const { id } = (await post('/v1/jobs', WARM)).body;
  await control.close();
  const restarted = await control.restart();
  t.match((await restarted.get(`/v1/jobs/${id}`, token)).body, { id, state: 'running' });
});

type Work = (node: string, message: unknown, secret?: string) => Promise<Answer<Record<string, unknown>>>;

/** Returns how a node sends a message about jobs. */
function workAt(control: Control): Work {
  return async (node: string, message: unknown, secret = SECRET): Promise<Answer<Record<string, unknown>>> => {
    const response = await fetch(`${control.url}/v1/work`, {
      method: 'POST',
      headers: { [TIER_FIELD]: formatNodeField(node, secret) },
      body: JSON.stringify(message),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : {} };
  };
}

test('results are sent while the job is under way', async (t) => {
  const { control, post, token } = await stage(t);
  const urls = Array.from({ length: 101 }, (_, index) => `${URL_1}/${index}`);
  const { id } = (await post('/v1/jobs', { ...WARM, urls })).body;
  const work = workAt(control);
  const { body } = await work('eu-1', { type: 'claim', wait_ms: 0 });
  const following = fetch(`${control.url}/v1/jobs/${id}/results?follow=true`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const result = { outcome: 'stored', status: 200, bytes: 0, ms: 3, detail: '' };
  const lease = { job: id, lane: 'eu', claim: body['claim'] };
  t.match(await work('eu-1', { type: 'results', ...lease, results: Array(100).fill(result) }), { body: { go: true } });
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of (await following).body ?? []) {
    text += decoder.decode(piece, { stream: true });
    if (text.split('\n').length < 101) continue;
    const { body: job } = await control.get<JobAnswer>(`/v1/jobs/${id}`, token);
    if (job.state === 'running') t.match(await post(`/v1/jobs/${id}/cancel`), { body: { done: 100 } });
  }
  t.equal(text.trimEnd().split('\n').length, 100, 'it ends with the job');
});

test('nodes take steps, and report; others are refused', async (t) => {
  const { control, post, get } = await stage(t);
  const work = workAt(control);
  const claim = { type: 'claim', wait_ms: 0 };
  t.match(await work('eu-1', claim), { status: 204 });
  t.match(await work('eu-1', claim, 'wrong'), { status: 403 });
  t.match(await work('us-7', claim), { status: 403 }, 'no file names it');
  t.match(await work('eu-1', { type: 'claim' }), { status: 400 });
  const waiting = work('eu-1', { type: 'claim', wait_ms: 20_000 });
  const { id } = (await post('/v1/jobs', WARM)).body;
  const { body } = await waiting;
  t.match(body, { job: id, lane: 'eu', task: { kind: 'warm', urls: [URL_1], rate: 50 } });
  const lease = { job: id, lane: 'eu', claim: body['claim'] };
  t.match(await work('eu-2', { type: 'renew', ...lease, claim: 'x', done: 0 }), { body: { go: false } });
  t.match(await work('eu-1', { type: 'renew', ...lease, done: 1 }), { body: { go: true } });
  t.match((await get(`/v1/jobs/${id}`)).body, { done: 1, regions: [{ state: 'working', node: 'eu-1' }] });
  const result = { outcome: 'failed', status: 503, bytes: 0, ms: 3, detail: 'down' };
  t.match(await work('eu-1', { type: 'results', ...lease, results: [] }), { body: { go: false } }, 'of no URL');
  t.match(await work('eu-1', { type: 'results', ...lease, results: [result] }), { body: { go: true } });
  t.match((await get(`/v1/jobs/${id}`)).body, { state: 'done', counts: { failed: 1 } });
  t.match((await get<object>('/v1/jobs/dead-letters')).body, {
    job: id,
    region: 'eu',
    url: URL_1,
    outcome: 'failed',
    detail: 'down',
  });
  t.match((await post(`/v1/jobs/${id}/retry`)).body, { state: 'running' });
});

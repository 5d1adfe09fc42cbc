/** HTTP server of the control API: tokens in fields, and errors of others as its own. */
import { test } from 'tap';
import { ApiError } from '../../control/errors.ts';
import { bearer, createServer, reported } from '../../control/server.ts';
import { HttpError } from '../../http/errors.ts';
import { JournalError } from '../../journal/errors.ts';
import { log } from './control.ts';

for (const { field, token } of [
  { field: 'Bearer abc', token: 'abc' },
  { field: 'bearer  abc  ', token: 'abc' },
  { field: 'Bearer', token: undefined },
  { field: 'Bearer ', token: undefined },
  { field: 'Bearer a b', token: undefined },
  { field: 'Bearer a\tb', token: undefined },
  { field: 'Bearer ä', token: undefined },
  { field: 'Basic abc', token: undefined },
  { field: ' Bearer abc', token: undefined },
  { field: '', token: undefined },
  { field: undefined, token: undefined },
]) {
  test(`Authorization: ${field ?? 'left out'} ${token === undefined ? 'has no token' : 'has a token'}`, async (t) => {
    t.equal(bearer(field), token);
  });
}

const logged: unknown[] = [];
const noting = { error: (entry: unknown) => void logged.push(entry) } as never;

for (const { what, error, code, isLogged = false } of [
  { what: 'its own', error: new ApiError('forbidden'), code: 'forbidden' },
  { what: 'a node without a secret', error: new HttpError('unauthorised_tier', 'x'), code: 'forbidden' },
  { what: 'a body that is too large', error: new HttpError('body_too_large'), code: 'too_large' },
  {
    what: 'a message that is malformed',
    error: new JournalError('journal_bad_message', 'site'),
    code: 'malformed_request',
  },
  {
    what: 'a journal that cannot be read',
    error: new JournalError('journal_unreachable'),
    code: 'journal_unreachable',
    isLogged: true,
  },
  {
    what: 'JSON that is none',
    error: Object.assign(new SyntaxError('x'), { statusCode: 400 }),
    code: 'malformed_json',
  },
  { what: 'a syntax error of the program', error: new SyntaxError('x'), code: 'internal', isLogged: true },
  { what: 'a fault of the program', error: new TypeError('secret'), code: 'internal', isLogged: true },
  {
    what: 'another refusal of the framework',
    error: Object.assign(new Error('x'), { statusCode: 414 }),
    code: 'malformed_request',
  },
  {
    what: 'a media type',
    error: Object.assign(new Error('x'), { code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE', statusCode: 415 }),
    code: 'unsupported_media_type',
  },
]) {
  test(`${what} is ${code}${isLogged ? ', and in the log' : ''}`, async (t) => {
    logged.length = 0;
    const answered = reported(error, { method: 'GET', url: '/' } as never, noting);
    t.equal(answered.code, code);
    t.equal(logged.length, isLogged ? 1 : 0);
    t.notMatch(answered.message, /secret/);
  });
}

test('whatever is sent to an address that is none, the answer is a problem document', async (t) => {
  const server = createServer(log);
  t.teardown(() => server.close());
  for (const url of ['/nothing', '/%zz', `/${'x'.repeat(20_000)}`]) {
    const { statusCode, headers, body } = await server.inject({ url });
    t.ok(statusCode >= 400 && statusCode < 500, url.slice(0, 20));
    t.equal(headers['content-type'], 'application/problem+json');
    t.match(JSON.parse(body), { status: statusCode, type: /^urn:seawall:problem:/ });
  }
});

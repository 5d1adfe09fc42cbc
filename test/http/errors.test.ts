import fc from 'fast-check';
import { test } from 'tap';
import { errorPage, HTTP_ERRORS, HttpError, type HttpErrorCode } from '../../http/errors.ts';
import { fieldValue } from '../../http/fields/headers.ts';

const CODES = Object.keys(HTTP_ERRORS) as HttpErrorCode[];
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

/** Logs, metrics and other people's alerts hold on to these. */
const STABLE = {
  bad_request: 400,
  bad_host: 400,
  bad_target: 400,
  bad_purge: 400,
  unauthorised_tier: 403,
  method_override_refused: 400,
  http2_without_tls: 400,
  plain_http: 400,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  unknown_host: 421,
  header_too_large: 431,
  internal: 500,
  method_not_implemented: 501,
  origin_unreachable: 502,
  origin_bad_response: 502,
  overloaded: 503,
  origin_overloaded: 503,
  origin_timeout: 504,
  only_if_cached: 504,
  loop_detected: 508,
  purge_forbidden: 403,
  journal_unreachable: 503,
};

test('codes and their statuses are stable', async (t) => {
  for (const [code, status] of Object.entries(STABLE)) {
    const error = new HttpError(code as HttpErrorCode);
    t.equal(error.status, status, code);
    t.equal(error.code, code);
  }
});

test('an error logs details that its page does not show', async (t) => {
  const cause = new Error('ECONNREFUSED');
  const error = new HttpError('origin_unreachable', '10.0.0.7:443', { cause });
  t.type(error, Error);
  t.equal(error.name, 'HttpError');
  t.equal(error.message, 'The server of this website could not be reached. (10.0.0.7:443)');
  t.equal(error.cause, cause);
  t.equal(new HttpError('origin_unreachable').message, 'The server of this website could not be reached.');
  for (const accept of [BROWSER, 'text/plain', 'application/json']) {
    const page = errorPage(error, 'req-1', accept).body.toString();
    t.notMatch(page, '10.0.0.7');
    t.notMatch(page, 'ECONNREFUSED');
    t.notMatch(page, 'errors.test.ts', 'no stack');
  }
});

for (const { rule, accept, type } of [
  { rule: 'no Accept', accept: undefined, type: 'text/html; charset=utf-8' },
  { rule: 'a browser', accept: BROWSER, type: 'text/html; charset=utf-8' },
  { rule: 'anything', accept: '*/*', type: 'text/html; charset=utf-8' },
  { rule: 'any text', accept: 'text/*', type: 'text/html; charset=utf-8' },
  { rule: 'any case', accept: 'Text/HTML', type: 'text/html; charset=utf-8' },
  { rule: 'plain text only', accept: 'text/plain', type: 'text/plain; charset=utf-8' },
  { rule: 'images only', accept: 'image/avif,image/webp', type: 'text/plain; charset=utf-8' },
  { rule: 'HTML refused', accept: 'text/html;q=0, */*', type: 'text/plain; charset=utf-8' },
  { rule: 'all text refused', accept: 'text/*;q=0, */*;q=1', type: 'text/plain; charset=utf-8' },
  { rule: 'empty', accept: '', type: 'text/plain; charset=utf-8' },
  { rule: 'JSON', accept: 'application/json', type: 'application/problem+json' },
  { rule: 'a problem', accept: 'application/problem+json', type: 'application/problem+json' },
  { rule: 'JSON before anything', accept: 'application/json, text/plain, */*', type: 'application/problem+json' },
  { rule: 'JSON liked better', accept: 'text/html; q=0.5, application/json', type: 'application/problem+json' },
  { rule: 'HTML liked better', accept: 'application/json;q=0.9, text/html', type: 'text/html; charset=utf-8' },
  { rule: 'HTML liked as much', accept: 'application/json, text/html', type: 'text/html; charset=utf-8' },
  { rule: 'anything liked better than JSON', accept: 'application/json;q=0.1, */*', type: 'text/html; charset=utf-8' },
  { rule: 'a parameter that is no weight', accept: 'application/json;faq=0', type: 'application/problem+json' },
  { rule: 'JSON refused', accept: 'application/json;q=0', type: 'text/plain; charset=utf-8' },
  {
    rule: 'a weight out of range',
    accept: 'application/json;q=1.5, text/html;q=0.1',
    type: 'text/html; charset=utf-8',
  },
  {
    rule: 'a weight that is no number',
    accept: 'application/json;q=x, text/html;q=0.1',
    type: 'text/html; charset=utf-8',
  },
]) {
  test(`RFC 9110 12.5.1: ${rule}`, async (t) => {
    t.equal(fieldValue(errorPage(new HttpError('internal'), 'req-1', accept).headers, 'content-type'), type);
  });
}

test('every page names status, sentence, code and request, and is never stored', async (t) => {
  for (const code of CODES) {
    for (const accept of [BROWSER, 'text/plain', 'application/json']) {
      const { status, headers, body } = errorPage(new HttpError(code), 'req-1', accept);
      const text = body.toString();
      t.equal(status, HTTP_ERRORS[code].status);
      for (const part of [String(status), HTTP_ERRORS[code].message, code, 'req-1']) t.match(text, part);
      t.equal(fieldValue(headers, 'cache-control'), 'no-store');
      t.equal(fieldValue(headers, 'content-length'), String(body.byteLength));
      t.equal(fieldValue(headers, 'x-content-type-options'), 'nosniff');
    }
  }
});

test('RFC 9457 3: the problem document', async (t) => {
  const { body } = errorPage(new HttpError('unknown_host', 'evil.example'), 'req-1', 'application/problem+json');
  t.strictSame(JSON.parse(body.toString()), {
    type: 'about:blank',
    title: 'Misdirected Request',
    status: 421,
    detail: 'This server does not serve the host that the request names.',
    code: 'unknown_host',
    requestId: 'req-1',
  });
});

test('the plain page has every detail', async (t) => {
  t.equal(
    errorPage(new HttpError('loop_detected'), 'req-1', 'text/plain').body.toString(),
    '508 Loop Detected\nThe request has passed through this network before.\n\nCode: loop_detected\nRequest: req-1\n',
  );
});

test('a request id cannot become markup', async (t) => {
  const page = errorPage(new HttpError('internal'), `<script>alert("1" & '2')</script>`, BROWSER).body.toString();
  t.match(page, '&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;');
  t.notMatch(page, '<script');
});

test('property: no request id adds a tag, and Content-Length counts bytes', async () => {
  const tags = (page: string) => page.split('<').length;
  const plain = tags(errorPage(new HttpError('internal'), '', BROWSER).body.toString());
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (requestId) => {
      const { headers, body } = errorPage(new HttpError('internal'), requestId, BROWSER);
      return tags(body.toString()) === plain && fieldValue(headers, 'content-length') === String(body.byteLength);
    }),
  );
});

test('property: no Accept breaks the page', async () => {
  const accept = fc.string({
    unit: fc.constantFrom('text/html', 'application/json', ';', 'q=', '0', '.', ',', '"', '\\', ' '),
  });
  const types = ['text/html; charset=utf-8', 'text/plain; charset=utf-8', 'application/problem+json'];
  fc.assert(
    fc.property(accept, (value) =>
      types.includes(fieldValue(errorPage(new HttpError('internal'), 'req-1', value).headers, 'content-type') ?? ''),
    ),
  );
});

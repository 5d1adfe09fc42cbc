import { test } from 'tap';
import { EncodedForms, formsOf } from '../../../cache/encoding/forms.ts';
import { openOwnStore } from '../../../cache/shared/shared-memory.ts';
import type { Encoding, StoredResponse } from '../../../cache/stored-response.ts';
import { compileRules } from '../../../config/match.ts';
import { siteSchema } from '../../../config/schema.ts';
import { acceptedCodings } from '../../../http/fields/content-coding.ts';
import { fieldValue } from '../../../http/fields/headers.ts';
import { storedResponse } from '../../support/stored-response.ts';

const store = openOwnStore(2 ** 22);

function rulesOf(site: object = { compression: {} }) {
  return compileRules(
    siteSchema.parse({ name: 'site', hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1:1' }] }, ...site }),
  );
}

const PLACE = { rules: rulesOf(), path: '/' };

function encoding(coding: Encoding['coding'], isFast: boolean, bytes = 100): Encoding {
  const writer = store.begin(bytes);
  writer?.append(Buffer.alloc(bytes));
  const body = writer?.commit(0);
  return { coding, isFast, body };
}

function response(encodings?: readonly Encoding[], bytes = 1_000): StoredResponse {
  return { ...storedResponse(store, 1, bytes, 1_700_000_000_000), encodings };
}

const BROWSER = acceptedCodings('gzip, br, zstd');

function codingOf(stored: StoredResponse): string | undefined {
  return fieldValue(stored.headers, 'content-encoding');
}

test('the first hit wants a fast encoding of the coding that is liked best', async (t) => {
  const choice = new EncodedForms(response(), PLACE).choose(BROWSER);
  t.match(choice, { wanted: { coding: 'br', isFast: true }, hitsLeft: 1 });
  t.equal(codingOf(choice.response), undefined);
});

test('what is there is sent while the better one is made', async (t) => {
  const choice = new EncodedForms(response([encoding('gzip', false)]), PLACE).choose(BROWSER);
  t.equal(codingOf(choice.response), 'gzip');
  t.match(choice.wanted, { coding: 'br', isFast: true });
});

test('a fast encoding that is hit often wants the small one, which wants nothing more', async (t) => {
  const fast = new EncodedForms(response([encoding('br', true)]), PLACE).choose(BROWSER);
  t.match(fast, { wanted: { coding: 'br', isFast: false } });
  t.ok(fast.hitsLeft > 10);
  const small = new EncodedForms(response([encoding('br', false)]), PLACE).choose(BROWSER);
  t.equal(small.wanted, undefined);
});

test('what is no smaller in one coding is not tried in others', async (t) => {
  const choice = new EncodedForms(response([{ coding: 'gzip', isFast: true, body: undefined }]), PLACE).choose(BROWSER);
  t.equal(choice.wanted, undefined);
  t.equal(codingOf(choice.response), undefined);
});

test('the head of an encoding is derived from the response as it is now', async (t) => {
  const stored = response([encoding('br', false, 123)]);
  const before = formsOf(stored, PLACE).choose(BROWSER).response;
  t.equal(fieldValue(before.headers, 'content-length'), '123');
  t.equal(fieldValue(before.headers, 'etag'), '"0000000000000001~br"');
  t.equal(before.stamp, stored.stamp);
  const made = { ...stored, headers: [...stored.headers, 'X-New', 'yes'] };
  const after = formsOf(made, PLACE).choose(BROWSER).response;
  t.equal(fieldValue(after.headers, 'x-new'), 'yes', 'a copy of a response does not have the forms of the other');
});

test('what a 304 or a new config forbids is not sent, though it is stored', async (t) => {
  const stored = response([encoding('br', false)]);
  const forbidden = { ...stored, headers: [...stored.headers, 'Cache-Control', 'no-transform'] };
  t.equal(codingOf(formsOf(forbidden, PLACE).choose(BROWSER).response), undefined);
  t.equal(codingOf(formsOf(stored, PLACE).choose(BROWSER).response), 'br');
  const other = { rules: rulesOf({ compression: { types: ['image/bmp'] } }), path: '/' };
  t.equal(codingOf(formsOf(stored, other).choose(BROWSER).response), undefined);
});

test('a copy for each visitor is not encoded', async (t) => {
  const rules = rulesOf({ compression: {}, rules: [{ path: '/own/*', cookies: 'key' }] });
  t.notOk(new EncodedForms(response(), { rules, path: '/own/x' }).isEncodable);
  t.ok(new EncodedForms(response(), { rules, path: '/other' }).isEncodable);
});

test('a form that an If-None-Match names need not be there', async (t) => {
  const forms = new EncodedForms(response(), PLACE);
  t.equal(fieldValue(forms.named('"0000000000000001~zstd.1"')?.headers ?? [], 'etag'), '"0000000000000001~zstd.1"');
  t.equal(fieldValue(forms.named('"0000000000000001"')?.headers ?? [], 'etag'), '"0000000000000001"');
  t.equal(forms.named('"0000000000000002~br"'), undefined);
  const missing = new EncodedForms({ ...response(), status: 404 }, PLACE);
  t.equal(missing.named('"0000000000000001~br"'), undefined, 'a 404 has no conditions');
});

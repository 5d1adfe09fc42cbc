/** Problem documents (RFC 9457) and JSON Pointers (RFC 6901). */
import fc from 'fast-check';
import { test } from 'tap';
import { API_ERRORS, ApiError, type ApiErrorCode, jsonPointer, problemDocument } from '../../control/errors.ts';

const CODES = Object.keys(API_ERRORS) as ApiErrorCode[];

test('every code is a document that names it, with a status of an error', async (t) => {
  for (const code of CODES) {
    const document = problemDocument(new ApiError(code));
    t.same(document, {
      type: `urn:seawall:problem:${code}`,
      title: API_ERRORS[code].title,
      status: API_ERRORS[code].status,
      code,
    });
    t.ok(document.status >= 400 && document.status < 600);
  }
});

test('a document has at most a hundred errors, and no cause', async (t) => {
  const errors = Array.from({ length: 300 }, (_, i) => ({ pointer: `/${i}`, detail: 'd', fix: 'f' }));
  const error = new ApiError('invalid_request', { detail: 'D', errors, cause: new Error('secret') });
  const document = problemDocument(error);
  t.equal(document.errors?.length, 100);
  t.equal(document.detail, 'D');
  t.notMatch(JSON.stringify(document), /secret/);
  t.match(error, { message: /D$/, cause: { message: 'secret' } });
});

/** Follows a pointer as section 4 of RFC 6901 has it. */
function at(document: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((value, step) => (value as Record<string, unknown>)[step], document);
}

test('RFC 6901: a pointer leads back to its value, whatever the names are', async (t) => {
  const name = fc.string({ unit: fc.constantFrom('~', '/', '0', '1', 'a', ' ', '"') });
  fc.assert(
    fc.property(fc.array(fc.oneof(name, fc.nat({ max: 3 })), { maxLength: 5 }), (path) => {
      const target = { found: true };
      const document = path.reduceRight<unknown>(
        (inner, step) => Object.assign(Object.create(null), { [step]: inner }),
        target,
      );
      t.equal(at(document, jsonPointer(path)), target);
    }),
  );
});

import { test } from 'tap';
import { isEncodable, isEncoded } from '../../../cache/policy/encoding.ts';
import { compileCompression } from '../../../config/compression.ts';
import { compressionSchema } from '../../../config/schema/compression.ts';

const COMPRESSION = compileCompression(compressionSchema.parse({}));
const HTML = ['Content-Type', 'text/html; charset=utf-8'];

for (const { rule, status = 200, headers = [], bytes = 1_000, is } of [
  { rule: 'text', is: true },
  { rule: 'a length that is not known', bytes: undefined, is: true },
  { rule: '256 bytes', bytes: 256, is: true },
  { rule: '255 bytes', bytes: 255, is: false },
  { rule: 'more than max_size', bytes: 4 * 1024 * 1024 + 1, is: false },
  { rule: '203', status: 203, is: true },
  { rule: '404', status: 404, is: true },
  { rule: '206', status: 206, is: false },
  { rule: '204', status: 204, is: false },
  { rule: '500', status: 500, is: false },
  { rule: 'identity, which is no coding', headers: ['Content-Encoding', 'Identity'], is: true },
  { rule: 'a coding of the origin', headers: ['Content-Encoding', 'gzip'], is: false },
  { rule: 'no-transform', headers: ['Cache-Control', 'max-age=1, No-Transform'], is: false },
  { rule: 'private', headers: ['Cache-Control', 'private'], is: false },
  { rule: 'private="x"', headers: ['Cache-Control', 'private="x"'], is: false },
  { rule: 'no-store', headers: ['Cache-Control', 'no-store'], is: false },
  { rule: 'a cookie', headers: ['Set-Cookie', 'a=1'], is: false },
  { rule: 'a digest of the content', headers: ['Content-Digest', 'sha-256=:AA==:'], is: false },
  { rule: 'a part', headers: ['Content-Range', 'bytes 0-1/2'], is: false },
]) {
  test(`${rule}: ${is ? 'encodable' : 'not encodable'}`, async (t) => {
    t.equal(isEncodable({ status, headers: [...HTML, ...headers] }, COMPRESSION, bytes), is);
  });
}

test('a type that is not named is not encoded', async (t) => {
  for (const type of ['image/png', 'video/mp4', 'text', '', 'application/octet-stream']) {
    t.notOk(isEncodable({ status: 200, headers: ['Content-Type', type] }, COMPRESSION, 1_000), type);
  }
  t.notOk(isEncodable({ status: 200, headers: [] }, COMPRESSION, 1_000));
});

test('`identity` is no coding', async (t) => {
  t.notOk(isEncoded(['Content-Encoding', 'identity']));
  t.ok(isEncoded(['Content-Encoding', 'identity, br']));
});

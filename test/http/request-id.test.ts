import fc from 'fast-check';
import { test } from 'tap';
import { headerBlock } from '../../http/http2/header-block.ts';
import { ID_CHARS, ID_PLACEHOLDER, lastId, newRequestId, proxyId, writeNewId } from '../../http/request-id.ts';

test('identifiers are 32 hexadecimal digits, and none comes twice', async (t) => {
  const seen = new Set<string>();
  const bytes = Buffer.alloc(ID_CHARS + 2, '.');
  for (let i = 0; i < 10_000; i++) {
    if (i % 2 === 0) seen.add(newRequestId());
    else {
      writeNewId(bytes, 1);
      t.equal(bytes.toString('latin1'), `.${lastId()}.`);
      seen.add(lastId());
    }
  }
  t.equal(seen.size, 10_000);
  t.ok([...seen].every((id) => /^[0-9a-f]{32}$/.test(id)));
});

test('HTTP/2 writes the placeholder as it is, so that an identifier takes its place', async (t) => {
  const block = headerBlock([':status', '200', 'x-request-id', ID_PLACEHOLDER]);
  t.ok(block.includes(ID_PLACEHOLDER, 0, 'latin1'));
});

test('an identifier of a proxy is kept only if no log has to quote it', async (t) => {
  t.equal(proxyId(['x-request-id', 'Root=1-67891233-abcdef012345678912345678'], 'X-Request-Id')?.length, 40);
  for (const value of ['', 'a b', 'a"', 'a\\', 'a,b', 'a\tb', 'é', 'x'.repeat(129)]) {
    t.equal(proxyId(['X-Request-Id', value], 'X-Request-Id'), undefined, JSON.stringify(value));
  }
  t.equal(proxyId(['X-Request-Id', 'a', 'x-request-id', 'b'], 'X-Request-Id'), undefined, 'two of them');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      const id = proxyId(['X-Request-Id', value], 'X-Request-Id');
      return id === undefined || /^[!-~]+$/.test(id);
    }),
  );
});

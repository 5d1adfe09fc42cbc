import { test } from 'tap';
import { isOfTheParser, type ParserError, parserError, refusedLine } from '../../../http/node-http/parser-errors.ts';

function errorOf(code: string, packet?: string, bytesParsed?: number): ParserError {
  const rawPacket = packet === undefined ? undefined : Buffer.from(packet, 'latin1');
  return Object.assign(new Error(code), {
    code,
    ...(rawPacket && { rawPacket }),
    ...(bytesParsed !== undefined && { bytesParsed }),
  });
}

for (const { error, code } of [
  { error: errorOf('HPE_HEADER_OVERFLOW'), code: 'header_too_large' },
  { error: errorOf('ERR_HTTP_REQUEST_TIMEOUT'), code: 'request_timeout' },
  { error: errorOf('HPE_PAUSED_H2_UPGRADE'), code: 'http2_without_tls' },
  { error: errorOf('HPE_INVALID_METHOD', 'FOO / HTTP/1.1\r\n', 0), code: 'method_not_implemented' },
  { error: errorOf('HPE_INVALID_METHOD', '\x16\x03\x01', 0), code: 'bad_request' },
  { error: errorOf('HPE_INVALID_HEADER_TOKEN'), code: 'bad_request' },
]) {
  test(`${error.code}${error.rawPacket ? ` at ${JSON.stringify(error.rawPacket.toString('latin1'))}` : ''} is ${code}`, async (t) => {
    t.ok(isOfTheParser(error));
    t.equal(parserError(error).code, code);
  });
}

test('a reset is an error of the connection', async (t) => {
  t.notOk(isOfTheParser(errorOf('ECONNRESET')));
  t.notOk(isOfTheParser(new Error('without a code')));
});

test('a request line that can be written so that it is read is read again', async (t) => {
  t.equal(refusedLine(undefined), undefined);
  t.equal(refusedLine(Buffer.from('\x16\x03\x01')), undefined);
});

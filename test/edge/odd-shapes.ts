/**
 * Shapes of requests that are known to divide parsers.
 */

/** Every one is sent alone, with the connection's good requests before it. */
export const ODD_SHAPES: readonly string[] = [
  ...['GET / HTTP/1.1\nHost: site.test\n\n', 'GET /marker HTTP/1.1\nHost: site.test\r\n\r\n'],
  ...['GET /marker HTTP/1.1\r\nHost: site.test\n\r\n', 'GET /marker HTTP/1.1\r\nHost: site.test\r\nX: y\n\n'],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nX: a\r\n b\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nX: a\r\n\tb\r\n\r\n',
  ],
  ...['GET /marker HTTP/1.1\r\nHost : site.test\r\n\r\n', 'GET /marker HTTP/1.1\r\n Host: site.test\r\n\r\n'],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nHost: site.test\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nhost: evil.test\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.1\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nX: a\0b\r\n\r\n',
    'GET /mar\0ker HTTP/1.1\r\nHost: site.test\r\n\r\n',
  ],
  ...['GET /marker HTTP/1.1\r\nHost: site.test\r\nX: a\rb\r\n\r\n', 'GET  /marker HTTP/1.1\r\nHost: site.test\r\n\r\n'],
  ...[
    'GET /marker  HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'GET /marker HTTP/1.1 \r\nHost: site.test\r\n\r\n',
    'GET\t/marker\tHTTP/1.1\r\nHost: site.test\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.0\r\nHost: site.test\r\n\r\n',
    'GET /marker HTTP/1.0\r\nHost: site.test\r\nConnection: keep-alive\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/2.0\r\nHost: site.test\r\n\r\n',
    'GET /marker HTTP/1.2\r\nHost: site.test\r\n\r\n',
    'GET /marker http/1.1\r\nHost: site.test\r\n\r\n',
  ],
  ...[
    'GET /marker\r\n',
    'GET /marker\r\n\r\n',
    '\r\nGET /marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
    '\r\n\r\n\r\nGET /marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
  ],
  ...[
    '\nGET /marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
    ' GET /marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ],
  ...[
    'GET http://site.test/marker HTTP/1.1\r\nHost: evil.test\r\n\r\n',
    'GET http://evil.test/marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
  ],
  ...[
    'GET https://site.test/marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'GET marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'GET * HTTP/1.1\r\nHost: site.test\r\n\r\n',
  ],
  ...[
    'OPTIONS * HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'CONNECT site.test:80 HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'GET //site.test/marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent-Length: +0\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent-Length: 00\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0x0\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0, 0\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent-Length: -1\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent-Length : 0\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nContent_Length: 5\r\n\r\n',
  ],
  ...[
    'POST /post HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nhello',
    'POST /post HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nhello, too much',
  ],
  ...['POST /post HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ...['POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'],
  ...[
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0;x\r\n\r\n',
  ],
  ...[
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n5;ext="\r\n"\r\nhello\r\n0\r\n\r\n',
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n',
  ],
  ...[
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n',
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n',
  ],
  ...[
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n',
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: xchunked\r\n\r\nhello',
  ],
  ...[
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
  ],
  ...[
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n',
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
  ],
  ...[
    'POST /post HTTP/1.1\r\nHost: site.test\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /post HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: identity\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nTransfer_Encoding: chunked\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nExpect: 100-continue\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nConnection: close, keep-alive\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nTrailer: X\r\n\r\n',
  ],
  ...[
    `GET /marker HTTP/1.1\r\nHost: site.test\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
    `GET /marker HTTP/1.1\r\nHost: site.test\r\nX: ${'x'.repeat(15_000)}\r\n\r\n`,
  ],
  ...[
    `GET /${'x'.repeat(40_000)} HTTP/1.1\r\nHost: site.test\r\n\r\n`,
    `GET /marker HTTP/1.1\r\nHost: site.test\r\n${'X: y\r\n'.repeat(300)}\r\n`,
    `GET /marker HTTP/1.1\r\nHost: site.test\r\n${'X: y\r\n'.repeat(90)}\r\n`,
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nX\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\n: x\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nX y: z\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\n\xe4: z\r\n\r\n',
  ],
  ...[
    'GET /m\xe4rker HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'GET /marker?\x7f HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'GET /marker"<>^`{|} HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test\r\nX: \x7f\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\x00\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: user@site.test\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test:99999\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost: site.test/x\r\n\r\n',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost:\tsite.test\r\n\r\n',
    'GET /marker HTTP/1.1\r\nHost:site.test \r\n\r\n',
    'HEAD /marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'GETX /marker HTTP/1.1\r\nHost: site.test\r\n\r\n',
    'G',
  ],
  ...[
    'GET /marker HTTP/1.1\r\nHost: site.test\r\n\r',
    'GET /marker HTTP/1.1\r\nHost: site.test',
    'HEAD /mark',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    '{"json": true}\r\n\r\n',
    'GET / HTTP/1.1\r\rHost: site.test\r\r',
  ],
  // Methods that the parser of node:http does not know, and targets that it refuses.
  ...['LIST', 'VERSION-CONTROL', 'BAN', 'FOO', 'get', 'GETX', 'HEADX', 'PRI', 'POSTX', 'MKCOLX', 'FOO('].map(
    (method) => `${method} /post HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n\r\n`,
  ),
  ...['/marker?q=\xc3\xa4\\', '/\xc3\xa4', '/mark\xe9r', '/a\\b', '/marker?\xff#', '/a/../marker'].map(
    (target) => `GET ${target} HTTP/1.1\r\nHost: site.test\r\n\r\n`,
  ),
  'POST /post?\xe4 HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nhello',
  // Spellings of the host.
  ...['site.test.', 'site.test:', 'site.test.:80', 'site.test..', 'SITE.test.'].map(
    (host) => `GET /marker HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  ),
  // An Upgrade that is not granted.
  ...['h2c', 'TLS/1.0', 'websocket/x', 'foo, bar'].flatMap((protocol) => [
    `GET /marker HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`,
    `POST /post HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nContent-Length: 5\r\n\r\nhello`,
  ]),
  // Fields that no visitor may set, and a method override.
  'GET /marker HTTP/1.1\r\nHost: site.test\r\nX_Forwarded_For: 1.2.3.4\r\nAccept_Language: de\r\n\r\n',
  'GET /marker HTTP/1.1\r\nHost: site.test\r\nX-HTTP-Method-Override: DELETE\r\n\r\n',
  'POST /post HTTP/1.1\r\nHost: site.test\r\nX-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n\r\n',
];

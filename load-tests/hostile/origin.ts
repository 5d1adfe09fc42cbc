/**
 * The origin behind the edge that is attacked: answers everything with 1 KB
 * that may be kept. Listens on the port of its first argument.
 * @module
 */
import { createServer } from 'node:http';

const BODY = Buffer.alloc(1_024, 'x');

createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
  const path = request.url ?? '';
  const fields: Record<string, string> = {
    'Content-Type': 'text/plain',
    'Cache-Control': 'public, max-age=3600',
    ETag: '"tag"',
  };
  if (path.startsWith('/vary')) fields['Vary'] = 'Accept-Encoding, Accept-Language, X-Vary';
  if (path.startsWith('/private')) fields['Cache-Control'] = 'no-store';
  request.resume();
  request.on('end', () => {
    response.writeHead(200, { ...fields, 'Content-Length': BODY.length });
    response.end(BODY);
  });
}).listen(Number(process.argv[2]), '127.0.0.1');

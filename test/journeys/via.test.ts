/** Via, which costs a site its compression with nginx's defaults, and CDN-Loop, which finds loops without it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startNginx } from '../support/nginx.ts';
import { startOrigin, text } from '../support/origin.ts';
import { ask } from '../support/visitor.ts';

for (const { via, isCompressed } of [
  { via: undefined, isCompressed: false },
  { via: 'cdn.example.com', isCompressed: false },
  { via: 'omit', isCompressed: true },
]) {
  test(`nginx, as Debian configures it, ${isCompressed ? 'compresses' : 'does not compress'} with via: ${via ?? 'send'}`, async (t) => {
    const root = t.testdir();
    writeFileSync(join(root, 'index.html'), `<!doctype html>${'<p>the same words again</p>'.repeat(2_000)}`);
    const nginx = await startNginx(root, 'gzip on;'); // what /etc/nginx/nginx.conf of Debian says
    const network = await startNetwork({ origin: `http://${nginx.address}`, access: via === undefined ? {} : { via } });
    t.teardown(() => Promise.all([network.close(), nginx.close()]));
    const reply = await ask(network.at('eu-1'), '/', { headers: { 'Accept-Encoding': 'gzip' } });
    t.equal(reply.status, 200);
    t.equal(reply.headers['content-encoding'], isCompressed ? 'gzip' : undefined);
    t.ok(isCompressed ? reply.body.length < 2_000 : reply.body.length > 50_000, `${reply.body.length} bytes`);
    const plain = await ask(network.at('eu-1'), '/', { headers: {} });
    t.equal(plain.headers['content-encoding'], undefined, 'who cannot read it does not get it');
  });
}

for (const { via, seen, visitor } of [
  { via: 'send', visitor: undefined, seen: '1.1 seawall' },
  { via: 'send', visitor: '1.0 other', seen: '1.0 other, 1.1 seawall' },
  { via: 'cdn.example.com', visitor: '1.0 other', seen: '1.0 other, 1.1 cdn.example.com' },
  { via: 'omit', visitor: undefined, seen: undefined },
  { via: 'omit', visitor: '1.0 other', seen: undefined },
]) {
  test(`via: ${via}, and a visitor's Via is ${visitor}: the origin sees ${seen}`, async (t) => {
    const origin = await startOrigin(text('hello'));
    const network = await startNetwork({ origin: origin.url, access: { via } });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const headers = visitor === undefined ? {} : { Via: visitor };
    for (const method of ['GET', 'POST'])
      t.match(await ask(network.at('eu-1'), '/', { method, headers }), { status: 200 });
    for (const request of origin.requests) {
      t.equal(request.headers.via, seen);
      t.equal(request.headers['cdn-loop'], 'seawall');
    }
    t.equal(origin.requests.length, 2);
    // What the origin sends back into the network is a loop, whatever became of Via.
    t.match(await ask(network.at('eu-2'), '/loop', { headers: { 'CDN-Loop': 'seawall' } }), { status: 508 });
    t.equal(origin.requests.length, 2);
  });
}

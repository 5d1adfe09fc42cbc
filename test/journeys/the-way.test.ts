import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startOrigin, text } from '../support/origin.ts';
import { ask } from '../support/visitor.ts';

const KEPT = { 'Cache-Control': 'max-age=60' };

test('edge, owner, shield and origin each report what they did, in order', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 3 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const path = network.pathOf('eu-3', '/way/');

  const first = await ask(network.at('eu-1'), path);
  t.equal(first.text, 'hello');
  t.strictSame(
    first.tiers.map((member) => member.split(';')[0]),
    ['"shield-1"', '"eu-3"', '"eu-1"'],
  );
  t.match(first.tiers[0], /;fwd=uri-miss;ttl=\d+;stored/);
  t.match(first.tiers[1], /;fwd=uri-miss;ttl=\d+;stored/);
  t.match(first.tiers[2], /;fwd=uri-miss;detail=not-hot/);

  const second = await ask(network.at('eu-2'), path);
  t.equal(second.text, 'hello');
  t.match(second.tiers.join(), /"eu-3";hit.*"eu-2";fwd=uri-miss/);
  t.notMatch(second.tiers.join(), /shield|eu-1/, 'neither the shield nor another edge was asked');

  const third = await ask(network.at('eu-3'), path);
  t.match(third.tiers, [/^"eu-3";hit;ttl=\d+$/]);
  t.equal(origin.requests.length, 1);
});

test('an edge stores a hot copy of a key that another one owns', async (t) => {
  const origin = await startOrigin(text('hot', KEPT));
  const network = await startNetwork({ origin: origin.url, limits: { hot_after: 3 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const path = network.pathOf('eu-2', '/hot/');
  const seen: string[] = [];
  for (let i = 0; i < 5; i++) seen.push((await ask(network.at('eu-1'), path)).tiers.at(-1) as string);
  t.match(seen, [/detail=not-hot/, /detail=not-hot/, /;stored/, /;hit;ttl=\d+;detail=hot-copy/, /detail=hot-copy/]);
  t.equal(origin.requests.length, 1);
});

test('a request never visits two edges that do not own its key', async (t) => {
  const origin = await startOrigin((request, response) => {
    response.writeHead(200, { 'Cache-Control': 'no-store' }).end(request.url);
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 5 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (let i = 0; i < 30; i++) {
    const path = `/page/${i}`;
    const [owner] = network.owners(path);
    const { tiers, text: body } = await ask(network.at(`eu-${(i % 5) + 1}`), path);
    const others = tiers.slice(1).filter((member) => !member.startsWith(`"${owner}"`));
    t.equal(body, path);
    t.ok(others.length <= 1, tiers.join());
  }
});

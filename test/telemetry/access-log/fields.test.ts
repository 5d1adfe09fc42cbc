import fc from 'fast-check';
import { test } from 'tap';
import { FIELD_READERS, lengthOf, originAnswer, replayMembers } from '../../../telemetry/access-log/fields.ts';
import { access } from './access.ts';

const SOURCES = { secret: 'secret', country: () => undefined };
const replayOf = (entry: ReturnType<typeof access>): Record<string, Record<string, string>> =>
  JSON.parse(`{"x":0${replayMembers(entry, SOURCES)}}`);

for (const [what, cacheStatus, answer] of [
  ['a miss of all tiers', '"s";fwd=uri-miss;stored, "e";fwd=uri-miss;stored', { status: 200, bytes: 5 }],
  ['a hit further up', '"s";hit;ttl=5, "e";fwd=uri-miss;stored', undefined],
  ['a hit', '"e";hit;ttl=5', undefined],
  ['the request of another visitor', '"s";fwd=uri-miss;stored, "e";fwd=uri-miss;collapsed', undefined],
  ['one that was validated', '"s";fwd=stale;fwd-status=304, "e";fwd=stale', { status: 304, bytes: 0 }],
] as const) {
  test(`answer of the origin: ${what}`, async (t) => {
    t.strictSame(originAnswer(access({}, {}, { cacheStatus })), answer);
  });
}

test('the length of a representation is that of the whole, also where a part is sent', async (t) => {
  t.equal(lengthOf(7, []), 7);
  t.equal(lengthOf(undefined, ['Content-Length', '3', 'Content-Range', 'bytes 0-2/10']), 10);
  t.equal(lengthOf(undefined, ['Content-Length', '3']), 3);
  t.equal(lengthOf(undefined, ['Content-Range', 'bytes 0-2/*']), undefined);
  t.equal(lengthOf(undefined, ['Content-Length', 'x']), undefined);
});

test('a trace id is that of a traceparent which is one', async (t) => {
  const idOf = (traceparent: string): unknown =>
    FIELD_READERS.trace_id(access({}, { headers: ['Traceparent', traceparent] }), SOURCES);
  t.equal(idOf(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`), 'a'.repeat(32));
  for (const wrong of ['', `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`, `00-${'A'.repeat(32)}-${'b'.repeat(16)}-01`]) {
    t.equal(idOf(wrong), undefined, wrong);
  }
});

test('what a replay needs has hashes of secrets, the same for the same secret', async (t) => {
  const headers = ['Cookie', 'session=s3cret; theme=dark', 'Authorization', 'Basic czpj', 'Accept-Language', 'de'];
  const stored = ['Cache-Control', 'private', 'Set-Cookie', 'session=s3cret', 'Vary', 'Accept-Language, Cookie'];
  const text = replayMembers(access({}, { headers }, { storedHeaders: stored, length: 12 }), SOURCES);
  t.notMatch(text, /s3cret|dark|czpj/);
  const { request, response, length, key } = replayOf(access({}, { headers }, { storedHeaders: stored, length: 12 }));
  t.match(request, {
    cookie: /^session=[\w-]{12}; theme=[\w-]{12}$/,
    authorization: /^[\w-]{12}$/,
    'accept-language': 'de',
  });
  t.strictSame(response, { 'cache-control': 'private', vary: 'Accept-Language, Cookie', 'set-cookie': '1' });
  t.equal(length as unknown, 12);
  t.match(key as unknown as string, /^[\w-]{12}$/);
  t.strictSame(request, replayOf(access({}, { headers }, { storedHeaders: stored })).request);
});

test('whatever a visitor sends, the members are members of one object', async (t) => {
  const text = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(text, text, text, text, (cookie, authorization, range, vary) => {
      const headers = ['Cookie', cookie, 'Authorization', authorization, 'Range', range, vary || 'x', range];
      const entry = access(
        {},
        { headers },
        { storedHeaders: ['Vary', vary], keyHeaders: ['__proto__', 'Constructor'] },
      );
      const members = replayMembers(entry, SOURCES);
      return !members.includes('\n') && typeof JSON.parse(`{"x":0${members}}`).response === 'object';
    }),
  );
  t.pass();
});

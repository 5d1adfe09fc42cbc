import { test } from 'tap';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import {
  coveringRange,
  isComplete,
  type StoredResponse,
  sameRepresentation,
  storedHead,
  strongValidator,
} from '../../cache/stored-response.ts';
import { type RawHeaders, withField } from '../../http/fields/headers.ts';
import { epochMs } from '../../lib/clock.ts';
import { storedResponse } from '../support/stored-response.ts';

const NOW = 1_740_787_200_000;

const stored = (bytes = 10): StoredResponse => storedResponse(new MemoryStore(2 ** 20), 1, bytes, NOW);

function headOf(headers: RawHeaders, directives: object = {}): RawHeaders {
  const { policy, stamp } = stored();
  return storedHead({
    status: 200,
    statusText: 'OK',
    headers,
    requestHeaders: [],
    policy: { ...policy, directives: { ...policy.directives, ...directives } },
    responseTime: epochMs(NOW),
    tags: [],
    stamp,
  }).headers;
}

const DATE = ['Date', 'Sat, 01 Mar 2025 00:00:00 GMT'];

for (const { rule, headers, directives, kept } of [
  {
    rule: 'Age and Cache-Status are made anew for each answer',
    headers: [...DATE, 'Age', '5', 'Cache-Status', 'x'],
    directives: {},
    kept: DATE,
  },
  {
    rule: 'fields that no-cache names are left out',
    headers: [...DATE, 'Set-Cookie', 'a=1'],
    directives: { noCacheFields: ['set-cookie'] },
    kept: DATE,
  },
  {
    rule: 'fields that private names are left out',
    headers: [...DATE, 'X-User', 'a'],
    directives: { privateFields: ['x-user'] },
    kept: DATE,
  },
  {
    rule: 'a response without Date gets that of its arrival (RFC 9110, 6.6.1)',
    headers: [],
    directives: {},
    kept: DATE,
  },
]) {
  test(`RFC 9111 3.1: ${rule}`, async (t) => {
    t.strictSame(headOf(headers, directives), kept);
  });
}

test('a response is complete when one piece holds all of it', async (t) => {
  const whole = stored(10);
  t.ok(isComplete(whole));
  t.ok(isComplete({ ...whole, length: 0 }), 'nothing is held of nothing');
  t.notOk(isComplete({ ...whole, length: 11 }));
  t.ok(coveringRange({ ...whole, length: 11 }, 2, 10));
  t.notOk(coveringRange({ ...whole, length: 11 }, 2, 11));
});

for (const { etag, strong } of [
  { etag: '"a"', strong: '"a"' },
  { etag: 'W/"a"', strong: undefined },
  { etag: undefined, strong: undefined },
]) {
  test(`RFC 9111 3.4: the entity tag ${etag ?? 'that is absent'} ${strong === undefined ? 'joins no' : 'joins'} parts`, async (t) => {
    t.equal(strongValidator(etag === undefined ? [] : ['ETag', etag]), strong);
  });
}

test('RFC 9111 3.4: parts are of one representation if their strong entity tags and lengths are equal', async (t) => {
  const one = stored(10);
  t.ok(sameRepresentation(one, { ...one }));
  t.notOk(sameRepresentation(one, { ...one, length: 11 }));
  t.notOk(sameRepresentation(one, { ...one, headers: withField(one.headers, 'ETag', '"other"') }));
  const weak = { ...one, headers: withField(one.headers, 'ETag', 'W/"weak"') };
  t.notOk(sameRepresentation(weak, weak));
});

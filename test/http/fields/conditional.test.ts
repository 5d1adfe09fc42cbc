import { test } from 'tap';
import {
  evaluateConditional,
  evaluateIfRange,
  isForOriginOnly,
  type Selected,
} from '../../../http/fields/conditional.ts';
import { epochMs } from '../../../lib/clock.ts';

const NOW = Date.UTC(2026, 6, 1);
const BEFORE = 'Mon, 01 Jun 2026 00:00:00 GMT';
const MODIFIED = 'Tue, 02 Jun 2026 00:00:00 GMT';
const AFTER = 'Wed, 03 Jun 2026 00:00:00 GMT';

const STORED: Selected = { status: 200, etag: '"a"', lastModified: MODIFIED, date: AFTER };
const NO_LAST_MODIFIED: Selected = { ...STORED, lastModified: undefined, date: MODIFIED };

for (const { rfc, rule, request, selected = STORED, verdict } of [
  { rfc: '13.2.2', rule: 'nothing asked', request: [], verdict: 'send' },

  { rfc: '13.1.2', rule: 'If-None-Match names the tag', request: ['If-None-Match', '"a"'], verdict: 'not-modified' },
  { rfc: '13.1.2', rule: 'If-None-Match names others', request: ['If-None-Match', '"b", "c"'], verdict: 'send' },
  {
    rfc: '13.1.2',
    rule: 'If-None-Match names it among others',
    request: ['if-none-match', '"b", "a"'],
    verdict: 'not-modified',
  },
  {
    rfc: '5.3',
    rule: 'If-None-Match in two lines',
    request: ['If-None-Match', '"b"', 'If-None-Match', '"a"'],
    verdict: 'not-modified',
  },
  { rfc: '13.1.2', rule: 'the comparison is weak', request: ['If-None-Match', 'W/"a"'], verdict: 'not-modified' },
  {
    rfc: '13.1.2',
    rule: 'the comparison is weak both ways',
    request: ['If-None-Match', '"a"'],
    selected: { ...STORED, etag: 'W/"a"' },
    verdict: 'not-modified',
  },
  { rfc: '13.1.2', rule: '* matches what is stored', request: ['If-None-Match', '*'], verdict: 'not-modified' },
  {
    rfc: '13.1.2',
    rule: '* matches without a tag',
    request: ['If-None-Match', '*'],
    selected: { ...STORED, etag: undefined },
    verdict: 'not-modified',
  },
  {
    rfc: '13.1.2',
    rule: 'no stored tag, no match',
    request: ['If-None-Match', '"a"'],
    selected: { ...STORED, etag: undefined },
    verdict: 'send',
  },
  { rfc: '8.8.3', rule: 'a malformed list matches nothing', request: ['If-None-Match', '"a", b'], verdict: 'send' },
  {
    rfc: '8.8.3',
    rule: 'a malformed stored tag matches nothing',
    request: ['If-None-Match', 'a'],
    selected: { ...STORED, etag: 'a' },
    verdict: 'send',
  },

  {
    rfc: '13.1.3',
    rule: 'If-None-Match that fails outweighs a date that holds',
    request: ['If-None-Match', '"b"', 'If-Modified-Since', AFTER],
    verdict: 'send',
  },
  {
    rfc: '13.1.3',
    rule: 'If-None-Match that holds outweighs a date that fails',
    request: ['If-Modified-Since', BEFORE, 'If-None-Match', '"a"'],
    verdict: 'not-modified',
  },
  {
    rfc: '13.1.3',
    rule: 'even a malformed If-None-Match outweighs it',
    request: ['If-None-Match', 'b', 'If-Modified-Since', AFTER],
    verdict: 'send',
  },

  { rfc: '13.1.3', rule: 'modified at that time', request: ['If-Modified-Since', MODIFIED], verdict: 'not-modified' },
  { rfc: '13.1.3', rule: 'modified before it', request: ['If-Modified-Since', AFTER], verdict: 'not-modified' },
  { rfc: '13.1.3', rule: 'modified after it', request: ['If-Modified-Since', BEFORE], verdict: 'send' },
  {
    rfc: '5.6.7',
    rule: 'the date in its obsolete form',
    request: ['If-Modified-Since', 'Tuesday, 02-Jun-26 00:00:00 GMT'],
    verdict: 'not-modified',
  },
  {
    rfc: '13.1.3',
    rule: 'not a date',
    request: ['If-Modified-Since', 'Tue, 02 Jun 2026 00:00:00 UTC'],
    verdict: 'send',
  },
  {
    rfc: '13.1.3',
    rule: 'two lines',
    request: ['If-Modified-Since', AFTER, 'If-Modified-Since', AFTER],
    verdict: 'send',
  },
  { rfc: '13.1.3', rule: 'two members', request: ['If-Modified-Since', `${AFTER}, ${AFTER}`], verdict: 'send' },
  {
    rfc: '13.1.3',
    rule: 'no modification date available',
    request: ['If-Modified-Since', AFTER],
    selected: { ...NO_LAST_MODIFIED, date: undefined },
    verdict: 'send',
  },
  {
    rfc: '13.1.3',
    rule: 'a stored Last-Modified that is no date',
    request: ['If-Modified-Since', AFTER],
    selected: { ...STORED, lastModified: 'yesterday', date: MODIFIED },
    verdict: 'send',
  },

  {
    rfc: '9111 4.3.2',
    rule: 'Date stands in for Last-Modified, same time',
    request: ['If-Modified-Since', MODIFIED],
    selected: NO_LAST_MODIFIED,
    verdict: 'not-modified',
  },
  {
    rfc: '9111 4.3.2',
    rule: 'Date stands in for Last-Modified, later',
    request: ['If-Modified-Since', AFTER],
    selected: NO_LAST_MODIFIED,
    verdict: 'not-modified',
  },
  {
    rfc: '9111 4.3.2',
    rule: 'Date stands in for Last-Modified, earlier',
    request: ['If-Modified-Since', BEFORE],
    selected: NO_LAST_MODIFIED,
    verdict: 'send',
  },

  { rfc: '9111 4.3.2', rule: 'If-Match is for the origin', request: ['If-Match', '"b"'], verdict: 'send' },
  {
    rfc: '9111 4.3.2',
    rule: 'If-Unmodified-Since is for the origin',
    request: ['If-Unmodified-Since', BEFORE],
    verdict: 'send',
  },

  {
    rfc: '13.2.1',
    rule: 'a stored part counts as 200',
    request: ['If-None-Match', '"a"'],
    selected: { ...STORED, status: 206 },
    verdict: 'not-modified',
  },
  {
    rfc: '13.2.1',
    rule: 'a stored 404 is sent',
    request: ['If-None-Match', '"a"'],
    selected: { ...STORED, status: 404 },
    verdict: 'send',
  },
  {
    rfc: '13.2.1',
    rule: 'a stored 301 is sent, whatever the date',
    request: ['If-Modified-Since', AFTER],
    selected: { ...STORED, status: 301 },
    verdict: 'send',
  },
]) {
  test(`RFC ${rfc.startsWith('9111') ? rfc : `9110 ${rfc}`}: ${rule}`, async (t) => {
    t.equal(evaluateConditional(request, selected, epochMs(NOW)), verdict);
  });
}

for (const { request, expected } of [
  { request: ['If-Match', '"a"'], expected: true },
  { request: ['if-unmodified-since', MODIFIED], expected: true },
  { request: ['If-None-Match', '"a"', 'If-Modified-Since', MODIFIED, 'If-Range', '"a"'], expected: false },
]) {
  test(`RFC 9111 4.3.2: for the origin only: ${request.filter((_, i) => i % 2 === 0)}: ${expected}`, async (t) => {
    t.equal(isForOriginOnly(request), expected);
  });
}

for (const { rfc, rule, request, selected = STORED, applies } of [
  { rfc: '13.1.5', rule: 'no If-Range', request: ['Range', 'bytes=0-1'], applies: true },
  { rfc: '13.1.5', rule: 'the same strong tag', request: ['If-Range', '"a"'], applies: true },
  { rfc: '13.1.5', rule: 'another tag', request: ['If-Range', '"b"'], applies: false },
  { rfc: '13.1.5', rule: 'a weak tag', request: ['If-Range', 'W/"a"'], applies: false },
  {
    rfc: '13.1.5',
    rule: 'the same weak tag',
    request: ['If-Range', 'W/"a"'],
    selected: { ...STORED, etag: 'W/"a"' },
    applies: false,
  },
  {
    rfc: '13.1.5',
    rule: 'no stored tag',
    request: ['If-Range', '"a"'],
    selected: { ...STORED, etag: undefined },
    applies: false,
  },
  { rfc: '13.1.5', rule: 'the same date', request: ['If-Range', MODIFIED], applies: true },
  { rfc: '13.1.5', rule: 'a later date is no exact match', request: ['If-Range', AFTER], applies: false },
  { rfc: '13.1.5', rule: 'an earlier date', request: ['If-Range', BEFORE], applies: false },
  {
    rfc: '13.1.5',
    rule: 'Date does not stand in for Last-Modified',
    request: ['If-Range', MODIFIED],
    selected: NO_LAST_MODIFIED,
    applies: false,
  },
  {
    rfc: '13.1.5',
    rule: 'neither tag nor date',
    request: ['If-Range', 'a'],
    selected: { ...STORED, etag: 'a', lastModified: 'a' },
    applies: false,
  },
  { rfc: '13.1.5', rule: 'a list of tags', request: ['If-Range', '"a", "b"'], applies: false },
  { rfc: '13.1.5', rule: 'two lines', request: ['If-Range', '"a"', 'If-Range', '"a"'], applies: false },
  {
    rfc: '8.8.2.2',
    rule: 'one second before Date is strong',
    request: ['If-Range', MODIFIED],
    selected: { ...STORED, date: 'Tue, 02 Jun 2026 00:00:01 GMT' },
    applies: true,
  },
  {
    rfc: '8.8.2.2',
    rule: 'in the second of Date is weak',
    request: ['If-Range', MODIFIED],
    selected: { ...STORED, date: MODIFIED },
    applies: false,
  },
  {
    rfc: '8.8.2.2',
    rule: 'without Date is weak',
    request: ['If-Range', MODIFIED],
    selected: { ...STORED, date: undefined },
    applies: false,
  },
]) {
  test(`RFC 9110 ${rfc}: If-Range: ${rule}`, async (t) => {
    t.equal(evaluateIfRange(request, selected, epochMs(NOW)), applies);
  });
}

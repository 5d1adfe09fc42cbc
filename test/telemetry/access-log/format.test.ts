import fc from 'fast-check';
import { test } from 'tap';
import { ACCESS_FIELDS, type AccessField } from '../../../config/schema/access-log.ts';
import { type AccessFormat, accessFormat } from '../../../telemetry/access-log/format.ts';
import { access } from './access.ts';

const SOURCES = { secret: 'secret', country: () => 'DE' };
const format = (name: 'json' | 'combined' | 'w3c', fields: readonly AccessField[] = []): AccessFormat =>
  accessFormat({ format: name, fields: [...fields], sample: 1 }, SOURCES);

/** Values of header fields and targets, hostile ones among them. */
const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom(...' "\\\n\r\t%-#\0\x7f\x85\xa0\xe4\u2028[]{},:;') }),
  fc.constantFrom('', '-', 'constructor', '__proto__', '"} {"', '\n#Fields: x', '" 200 5 "'),
);
const hostile = fc.record({
  method: anything,
  target: anything,
  host: anything,
  agent: anything,
  referer: anything,
  type: anything,
});

type Hostile = Readonly<Record<'method' | 'target' | 'host' | 'agent' | 'referer' | 'type', string>>;

const accessOf = ({ method, target, host, agent, referer, type }: Hostile) =>
  access(
    { host },
    { method, target, headers: ['User-Agent', agent, 'Referer', referer] },
    { storedHeaders: ['Content-Type', type] },
  );

test('JSON: each line is one object that says what came', async (t) => {
  const { line } = format('json', ACCESS_FIELDS);
  fc.assert(
    fc.property(hostile, (given) => {
      const text = line(accessOf(given));
      if (text.indexOf('\n') !== text.length - 1) return false;
      const { method, target, host, user_agent, referer, country } = JSON.parse(text);
      return (
        method === given.method &&
        target === given.target &&
        host === given.host &&
        user_agent === given.agent &&
        referer === given.referer &&
        country === 'DE'
      );
    }),
  );
  t.pass();
});

const COMBINED = /^\S+ - - \[[^\]\n]+\] "((?:[^"\\\n]|\\.)*)" \d{3} (?:\d+|-)((?: "(?:[^"\\\n]|\\.)*")*)\n$/;

test('combined: each line is one, with as many values in quotes as it has fields', async (t) => {
  const fields = ACCESS_FIELDS.filter((field) => field !== 'replay' && field !== 'user_agent' && field !== 'referer');
  const { line } = format('combined', fields);
  fc.assert(
    fc.property(hostile, (given) => {
      const text = line(accessOf(given));
      const [, request, quoted] = COMBINED.exec(text) ?? [];
      const values = quoted?.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
      return /^[\x20-\x7e]*\n$/.test(text) && request !== undefined && values.length === fields.length + 2;
    }),
  );
  t.equal(
    format('combined').line(access({}, { headers: ['User-Agent', 'a "b" \xe4', 'Referer', 'https://x.test/'] })),
    '192.0.2.7 - - [01/Jan/1970:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "https://x.test/" "a \\"b\\" \\xe4"\n',
  );
});

test('W3C: each line has as many values as the directives name, and none begins like a directive', async (t) => {
  const fields = ACCESS_FIELDS.filter((field) => field !== 'replay');
  const { line, begin } = format('w3c', fields);
  const names = /^#Fields: (.*)$/m.exec(begin(0))?.[1]?.split(' ') ?? [];
  t.match(begin(0), /^#Version: 1\.0\n#Date: 1970-01-01 00:00:00\n#Fields: date time c-ip /);
  fc.assert(
    fc.property(hostile, (given) => {
      const text = line(accessOf(given));
      return /^[^#][\x21-\x7e ]*\n$/.test(text) && text.trimEnd().split(' ').length === names.length;
    }),
  );
  t.equal(
    format('w3c').line(access({ seconds: 1.5 }, { target: '/a%20b?c=d e' })),
    '1970-01-01 00:00:00.000 192.0.2.7 GET a.test /a%20b c=d%20e 200 5 1.500 www uri-miss 0123456789abcdef0123456789abcdef\n',
  );
});

test('a sampled log says so in each line of JSON', async (t) => {
  const { line } = accessFormat({ format: 'json', fields: [], sample: 0.25 }, SOURCES);
  t.equal(JSON.parse(line(access())).sample, 0.25);
});

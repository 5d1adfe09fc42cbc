import fc from 'fast-check';
import { test } from 'tap';
import { AnswerLength } from '../../load-tests/bench/answer-length.ts';
import { replaceBetween } from '../../load-tests/bench/files.ts';
import { parseH2load, percentilesOf } from '../../load-tests/bench/h2load-output.ts';

const H2LOAD = `
finished in 1.01s, 25455.00 req/s, 28.85MB/s
requests: 25775 total, 25775 started, 25455 done, 25455 succeeded, 0 failed, 3 errored, 0 timeout
status codes: 25453 2xx, 0 3xx, 1 4xx, 1 5xx
traffic: 29.13MB (30547578) total, 1.92MB (2011906) headers (space savings 76.92%), 24.86MB (26065920) data
`;

test('output of h2load is read', async (t) => {
  t.same(parseH2load(H2LOAD), { requests: 25_455, bytes: 30_547_578, seconds: 1.01, failed: 3, refused: 2 });
  t.equal(parseH2load(H2LOAD.replace('1.01s', '900.5ms')).seconds, 0.9005);
  t.throws(() => parseH2load('Segmentation fault'), /not what h2load prints/);
});

test('percentiles are computed from its log', async (t) => {
  const log = Array.from({ length: 100 }, (_, i) => `1700000000000000\t200\t${100 - i}`).join('\n');
  t.same(percentilesOf(`${log}\n`), { p50Micros: 51, p99Micros: 100 });
});

test('the end of a response is found wherever it is cut', async (t) => {
  const answer = `HTTP/1.1 200 OK\r\nconTent-lengtH: 10\r\nX: y\r\n\r\n0123456789`;
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: answer.length - 1 })), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), answer.length];
      const length = new AnswerLength();
      return places
        .slice(1)
        .every((end, i) => length.take(Buffer.from(answer.slice(places[i], end))) === (end === answer.length));
    }),
  );
  t.throws(() => new AnswerLength().take(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')), /without Content-Length/);
});

test('a page keeps its text outside of the markers', async (t) => {
  const page = 'before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n';
  const once = replaceBetween(page, 'new\n');
  t.equal(once, 'before\n<!-- bench: begin -->\n\nnew\n\n<!-- bench: end -->\nafter\n');
  t.equal(replaceBetween(once, 'new'), once);
  t.throws(() => replaceBetween('no markers', 'x'), /has no/);
});

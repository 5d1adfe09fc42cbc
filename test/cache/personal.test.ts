/**
 * Random visitors with random cookies, rules and answers: bytes that were made for one of them reach another only where
 * the origin declares them shareable, the rule says that cookies do not count, or the key holds the same cookies of
 * both.
 */
import fc from 'fast-check';
import tap, { test } from 'tap';
import { type Asked, Bench, turn } from './engine/bench.ts';

const RULES = [
  { path: '/ttl', ttl: '10s', stale_while_revalidate: '20s', stale_if_error: '1m', request_directives: 'honour' },
  { path: '/window', stale_while_revalidate: '20s', stale_if_error: '1m', request_directives: 'honour' },
  { path: '/ignored', ttl: '10s', stale_if_error: '1m', origin_headers: 'ignore' },
  { path: '/errors', status: ['4xx', '5xx'], ttl: '10s' },
  { path: '/key', ttl: '10s', stale_while_revalidate: '20s', cookies: 'key' },
  { path: '/free', ttl: '10s', stale_if_error: '1m', cookies: 'ignore' },
  { path: '/some', ttl: '10s', cookies: { bypass: ['session*'] }, request_directives: 'honour' },
  { path: '/*.css', ttl: '10s', stale_if_error: '1m' },
];

const PATHS = ['/ttl', '/window', '/ignored', '/errors', '/key', '/free', '/some', '/x.css', '/no-rule'];

/** Response fields, with whether they declare a response shareable. */
const DECLARATIONS: readonly { readonly headers: readonly string[]; readonly isDeclared: boolean }[] = [
  { headers: [], isDeclared: false },
  { headers: ['ETag', '"1"'], isDeclared: false },
  { headers: ['Last-Modified', 'Sun, 01 Jan 2023 00:00:00 GMT'], isDeclared: false },
  { headers: ['Cache-Control', 'max-age=0', 'ETag', '"1"'], isDeclared: false },
  { headers: ['Cache-Control', 'no-cache', 'ETag', '"1"'], isDeclared: false },
  { headers: ['Cache-Control', 'private, max-age=10'], isDeclared: false },
  { headers: ['Cache-Control', 'stale-while-revalidate=60, stale-if-error=60'], isDeclared: false },
  { headers: ['Cache-Control', 'max-age=10', 'ETag', '"1"'], isDeclared: true },
  { headers: ['Cache-Control', 'public', 'Last-Modified', 'Sun, 01 Jan 2023 00:00:00 GMT'], isDeclared: true },
  { headers: ['CDN-Cache-Control', 'max-age=10', 'ETag', '"1"'], isDeclared: true },
];

interface Visitor {
  readonly session: string | undefined;
  readonly theme: string | undefined;
  readonly hasAnalytics: boolean;
  readonly hasAuthorization: boolean;
}

interface Made {
  readonly visitor: Visitor;
  readonly path: string;
  isDeclared: boolean;
  /** True if status and type are those of a static file. */
  readonly isFile: boolean;
}

const anyVisitor: fc.Arbitrary<Visitor> = fc.record({
  session: fc.constantFrom(undefined, undefined, 'a', 'b'),
  theme: fc.constantFrom(undefined, undefined, 'dark'),
  hasAnalytics: fc.boolean(),
  hasAuthorization: fc.constantFrom(false, false, false, true),
});

const anyStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      visitor: anyVisitor,
      method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
      isForced: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      which: fc.nat(5),
      declaration: fc.constantFrom(...DECLARATIONS),
      status: fc.constantFrom(200, 200, 200, 200, 200, 304, 404, 500),
      type: fc.constantFrom('text/html', 'text/css'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), seconds: fc.constantFrom(1, 11, 25, 100) }) },
);

function fieldsOf({ session, theme, hasAnalytics, hasAuthorization }: Visitor): string[] {
  const cookies = [
    ...(hasAnalytics ? ['_ga=GA1.2.3'] : []),
    ...(session === undefined ? [] : [`session=${session}`]),
    ...(theme === undefined ? [] : [`theme=${theme}`]),
  ];
  return [
    ...(cookies.length === 0 ? [] : ['Cookie', cookies.join('; ')]),
    ...(hasAuthorization ? ['Authorization', 'Basic x'] : []),
  ];
}

/** Returns whether a request is personal for a response, by the words of docs/shared-answers.md. */
function isPersonal(visitor: Visitor, { path, isFile }: Made): boolean {
  if (visitor.hasAuthorization) return true;
  if (path === '/free' || path === '/key') return false;
  if (path === '/some') return visitor.session !== undefined;
  if (path === '/x.css' && isFile) return false;
  return visitor.session !== undefined || visitor.theme !== undefined;
}

function mayReach(made: Made, other: Visitor): boolean {
  // The origin's words do not count there.
  if (made.isDeclared && made.path !== '/ignored') return true;
  if (isPersonal(made.visitor, made) || isPersonal(other, made)) return false;
  return made.path !== '/key' || (made.visitor.session === other.session && made.visitor.theme === other.theme);
}

tap.setTimeout(120_000);

test('a personal response reaches no other visitor unless it is declared shareable', async (t) => {
  let [reused, withheld] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...PATHS),
      fc.array(anyStep, { minLength: 10, maxLength: 40 }),
      async (path, steps) => {
        const bench = new Bench({ site: { rules: RULES } });
        const made: Made[] = [];
        const visitors: Visitor[] = [];
        const asked: { readonly one: Asked; readonly visitor: Visitor; readonly index: number }[] = [];
        const indexOf = (fields: readonly string[]): number => Number(fields[fields.indexOf('X-Index') + 1]);
        const answer = (
          which: number,
          declaration: (typeof DECLARATIONS)[number],
          status: number,
          type: string,
        ): void => {
          const { open } = bench.upstream;
          const exchange = open[which % Math.max(1, open.length)];
          if (exchange === undefined) return;
          const index = indexOf(exchange.request.headers);
          const visitor = visitors[index] as Visitor;
          const isUpdate = status === 304 && exchange.request.headers.includes('If-None-Match');
          // What is kept of visitors of whom nothing is known may be declared to be for all later on.
          if (declaration.isDeclared && (isUpdate || exchange.request.method === 'HEAD')) {
            for (const one of made) one.isDeclared ||= !isPersonal(one.visitor, one);
          }
          if (isUpdate) {
            exchange.respond(304, [...declaration.headers, 'X-Made-For', String(index)]);
            return;
          }
          const actual = status === 304 ? 200 : status;
          const { method } = exchange.request;
          const isFile = actual === 200 && type === 'text/css';
          made.push({ visitor, path, isDeclared: declaration.isDeclared, isFile });
          const fields = [...declaration.headers, 'Content-Type', type, 'X-Made-For', String(index)];
          exchange.respond(actual, fields, method === 'HEAD' ? '' : `made ${made.length - 1}`);
        };
        for (const step of steps) {
          if (step.kind === 'pass') bench.pass(step.seconds);
          else if (step.kind === 'answer') answer(step.which, step.declaration, step.status, step.type);
          else {
            const index = visitors.push(step.visitor) - 1;
            const headers = [...fieldsOf(step.visitor), 'X-Index', String(index)];
            if (step.isForced) headers.push('Cache-Control', 'no-cache');
            asked.push({ one: bench.ask(path, { method: step.method, headers }), visitor: step.visitor, index });
          }
          await turn();
        }
        // What is still asked from now on is answered at once.
        const rest = (): void => {
          while (bench.upstream.open.length > 0) answer(0, { headers: [], isDeclared: false }, 200, 'text/html');
        };
        bench.upstream.onRequest = () => queueMicrotask(rest);
        rest();
        for (const { one, visitor, index } of asked) {
          const { body } = await one.whole();
          const number = /made (\d+)/.exec(body.toString())?.[1];
          if (number === undefined) continue;
          const from = made[Number(number)] as Made;
          if (from.visitor === visitors[index]) continue;
          if (!mayReach(from, visitor)) {
            throw new Error(`${JSON.stringify(from)} reached ${JSON.stringify(visitor)}`);
          }
          if (isPersonal(from.visitor, from) || isPersonal(visitor, from)) withheld++;
          else reused++;
        }
      },
    ),
    { numRuns: Number(process.env['SEAWALL_PERSONAL_RUNS'] ?? 300) },
  );
  t.ok(reused > 100, `${reused} answers were shared by visitors of whom nothing is known`);
  t.ok(withheld > 20, `${withheld} were shared as the origin declared it`);
});

/**
 * Random histories: visitors who come, read and go, an origin that answers,
 * stalls and dies, a clock that moves. Whatever happens, some things hold.
 */
import fc from 'fast-check';
import { test } from 'tap';
import type { Answer } from '../../../cache/answer.ts';
import type { BodyReader } from '../../../http/message.ts';
import type { ScriptedExchange } from '../../support/scripted-fetch.ts';
import { type Asked, Bench, field, turn } from './bench.ts';

const TARGETS = ['/a', '/b'];
const CONTROLS = [
  'max-age=10',
  'max-age=10, stale-while-revalidate=10',
  'max-age=10, stale-if-error=20',
  'max-age=1',
  'no-cache',
  'no-store',
  'private, max-age=10',
  's-maxage=10',
  undefined,
];

/** One representation that the origin has given, by its tag. */
interface Given {
  readonly target: string;
  readonly bytes: Buffer;
  readonly kind: string | undefined;
  readonly isPrivate: boolean;
  readonly exchange: ScriptedExchange;
}

const anyReply = fc.record({
  control: fc.constantFrom(...CONTROLS),
  bytes: fc.constantFrom(0, 1, 500, 3_000, 90_000, 300_000),
  status: fc.constantFrom(200, 200, 200, 200, 404, 500, 503),
  known: fc.boolean(),
  tagged: fc.boolean(),
  vary: fc.boolean(),
  conditional: fc.constantFrom('match', 'match', 'new', 'other'),
  ranged: fc.boolean(),
});

const anyStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      target: fc.constantFrom(...TARGETS),
      method: fc.constant('GET'),
      kind: fc.constant(undefined),
      range: fc.constant(undefined),
      auth: fc.constant(false),
      keeps: fc.constant(true),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      target: fc.constantFrom(...TARGETS),
      method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'HEAD', 'POST'),
      kind: fc.constantFrom(undefined, undefined, 'x', 'y'),
      range: fc.constantFrom(
        undefined,
        undefined,
        undefined,
        'bytes=0-99',
        'bytes=200-',
        'bytes=-50',
        'bytes=0-9,300-399',
      ),
      auth: fc.constantFrom(false, false, false, true),
      keeps: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('head' as const), who: fc.nat(10), reply: anyReply }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('data' as const),
      who: fc.nat(10),
      part: fc.double({ min: 0.1, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), who: fc.nat(10) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('go' as const), who: fc.nat(20) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('read' as const), who: fc.nat(20), pieces: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(1, 5, 11, 40) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('purge' as const),
      target: fc.constantFrom(...TARGETS),
      soft: fc.boolean(),
    }),
  },
);

type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;
type Reply = typeof anyReply extends fc.Arbitrary<infer T> ? T : never;

/** A visitor, and what came of the request so far. */
class Visitor {
  readonly #clientAbort = new AbortController();
  readonly asked: Asked;
  readonly pieces: Buffer[] = [];
  readonly step: Extract<Step, { do: 'ask' }>;
  answer: Answer | undefined;
  reading = false;
  left = false;
  over: 'ended' | 'broken' | undefined;

  constructor(bench: Bench, step: Extract<Step, { do: 'ask' }>) {
    const headers: string[] = [];
    if (step.kind !== undefined) headers.push('X-Kind', step.kind);
    if (step.range !== undefined) headers.push('Range', step.range);
    if (step.auth) headers.push('Authorization', 'Basic eA==');
    this.step = step;
    this.asked = bench.ask(step.target, {
      method: step.method,
      headers,
      clientAbort: this.#clientAbort.signal,
      keeps: step.keeps,
    });
    this.asked.answer.then(
      (answer) => {
        this.answer = answer;
        if (this.left) answer.body?.close();
        else if (answer.body === undefined) this.over = 'ended';
      },
      () => {
        this.over = 'broken';
      },
    );
  }

  async read(pieces: number): Promise<void> {
    const body = this.answer?.body;
    if (body === undefined || this.reading || this.over !== undefined || this.left) return;
    this.reading = true;
    await this.#take(body, pieces);
    this.reading = false;
  }

  async #take(body: BodyReader, pieces: number): Promise<void> {
    try {
      for (let i = 0; i < pieces && !this.left; i++) {
        const piece = await body.next();
        if (this.left) return;
        if (piece === null) {
          this.over = 'ended';
          body.close();
          return;
        }
        this.pieces.push(piece);
      }
    } catch {
      if (!this.left) this.over = 'broken';
      body.close();
    }
  }

  leave(): void {
    if (this.over !== undefined) return;
    this.left = true;
    this.#clientAbort.abort();
    this.answer?.body?.close();
  }
}

class World {
  readonly bench = new Bench({
    maxBytes: 400_000,
    fillWindowBytes: 100_000,
    site: { max_object: '200KiB', hit_for_miss_ttl: '5s' },
  });
  readonly visitors: Visitor[] = [];
  readonly given = new Map<string, Given>();
  /** Remaining bodies of the exchanges. */
  readonly bodies = new Map<ScriptedExchange, { bytes: Buffer; sent: number }>();
  readonly #shared = new Map<ScriptedExchange, string | undefined>();
  readonly #released = new Set<string>();
  readonly #invalidations = new Map<string, number>();
  #tags = 0;
  #purges = 0;

  constructor() {
    this.bench.upstream.onRequest = (exchange) => this.#shared.set(exchange, this.#sharedBy(exchange));
    this.bench.ledger.restart({ terms: [{ identity: 'j', after: -1 }], newest: 0, floor: 0 });
  }

  async do(step: Step): Promise<void> {
    const { bench, visitors } = this;
    const { open } = bench.upstream;
    const exchange = 'who' in step && open.length > 0 ? (open[step.who % open.length] as ScriptedExchange) : undefined;
    const visitor = 'who' in step ? visitors[step.who % Math.max(1, visitors.length)] : undefined;
    switch (step.do) {
      case 'ask':
        visitors.push(new Visitor(bench, step));
        break;
      case 'head':
        if (exchange && !this.bodies.has(exchange)) this.#head(exchange, step.reply);
        break;
      case 'data': {
        const body = exchange && this.bodies.get(exchange);
        if (body === undefined || exchange === undefined || exchange.isPaused) break;
        const until = Math.min(body.bytes.length, body.sent + Math.ceil(step.part * 120_000));
        if (until > body.sent) exchange.data(body.bytes.subarray(body.sent, until));
        body.sent = until;
        if (until === body.bytes.length) exchange.end();
        break;
      }
      case 'fail':
        exchange?.fail();
        break;
      case 'go':
        visitor?.leave();
        break;
      case 'read':
        void visitor?.read(step.pieces);
        break;
      case 'wait':
        bench.pass(step.seconds);
        break;
      case 'purge':
        this.#invalidated(step.target);
        bench.ledger.apply([
          { seq: ++this.#purges, site: 'shop', kind: 'url', selector: `//shop.test${step.target}`, soft: step.soft },
        ]);
    }
    await turn();
    this.check();
  }

  #invalidated(target: string): void {
    this.#invalidations.set(target, (this.#invalidations.get(target) ?? 0) + 1);
  }

  #head(exchange: ScriptedExchange, reply: Reply): void {
    const { target, headers, method } = exchange.request;
    if (method === 'POST') this.#invalidated(target);
    // One visitor's own error releases those who waited, each to ask alone, and nothing is remembered of it.
    if (reply.status >= 500 && reply.control !== undefined) this.#released.add(target);
    const known = field(headers, 'if-none-match');
    const date = ['Date', this.bench.date];
    const control = reply.control === undefined ? [] : ['Cache-Control', reply.control];
    if (known !== undefined && reply.conditional !== 'new') {
      const tag = reply.conditional === 'match' ? known : '"unheard-of"';
      exchange.head(304, [...date, ...control, 'ETag', tag]);
      this.bodies.set(exchange, { bytes: Buffer.alloc(0), sent: 0 });
      return;
    }
    const rest = field(headers, 'if-range');
    const previous = rest === undefined ? undefined : this.given.get(rest);
    const range = /^bytes=(\d+)-(\d*)$/.exec(field(headers, 'range') ?? '');
    const mark = `"${++this.#tags}"`;
    const tag = previous === undefined ? mark : (rest as string);
    const bytes = previous?.bytes ?? Buffer.alloc(reply.bytes, tag);
    const kind = field(headers, 'x-kind');
    const varies = reply.vary || kind !== undefined;
    if (previous === undefined) {
      const isPrivate = reply.control?.includes('private') === true || reply.control === 'no-store';
      this.given.set(tag, { target, bytes, kind: varies ? (kind ?? 'none') : undefined, isPrivate, exchange });
    }
    const described = [...date, ...control, 'X-Made', tag, ...(varies ? ['Vary', 'X-Kind'] : [])];
    const tagged = reply.tagged || previous !== undefined ? ['ETag', tag] : [];
    const start = Number(range?.[1]);
    const last = range?.[2] === '' ? bytes.length - 1 : Math.min(Number(range?.[2]), bytes.length - 1);
    if (range !== null && (reply.ranged || previous !== undefined) && start <= last && reply.status === 200) {
      exchange.head(206, [...described, ...tagged, 'Content-Range', `bytes ${start}-${last}/${bytes.length}`]);
      this.bodies.set(exchange, { bytes: bytes.subarray(start, last + 1), sent: 0 });
      return;
    }
    const length = reply.known || method === 'HEAD' ? ['Content-Length', String(bytes.length)] : [];
    exchange.head(reply.status, [...described, ...tagged, ...length]);
    this.bodies.set(exchange, { bytes: method === 'HEAD' ? Buffer.alloc(0) : bytes, sent: 0 });
  }

  /** Checks the invariants that hold at any moment. */
  check(): void {
    const { bench, visitors } = this;
    const { bytesInUse, maxBytes } = bench.store;
    if (bytesInUse > maxBytes) throw new Error(`${bytesInUse} of ${maxBytes} bytes`);
    for (const visitor of visitors) this.#checkAnswer(visitor);
    this.#checkCold();
  }

  #checkAnswer({ answer, pieces, over, step }: Visitor): void {
    if (answer === undefined || step.method === 'POST') return;
    const { status, headers } = answer.head;
    const made = this.given.get(field(headers, 'x-made') ?? '');
    if (made === undefined) {
      if (status !== 304) throw new Error(`an answer ${status} that nobody gave`);
      return;
    }
    if (made.target !== step.target) throw new Error(`${step.target} was answered with ${made.target}`);
    if (made.kind !== undefined && made.kind !== (step.kind ?? 'none')) throw new Error('another variant');
    if (answer.status.hit && made.isPrivate) throw new Error('a private response from the store');
    if (step.method === 'HEAD') return;
    const got = Buffer.concat(pieces);
    const isMultipart = field(headers, 'content-type')?.startsWith('multipart/') === true;
    if (isMultipart) {
      if (over === 'ended' && got.length !== Number(field(headers, 'content-length')))
        throw new Error('multipart length');
      return;
    }
    const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(field(headers, 'content-range') ?? '');
    const promised =
      status === 206
        ? made.bytes.subarray(Number(range?.[1]), Number(range?.[2]) + 1)
        : status === 416
          ? Buffer.alloc(0)
          : made.bytes;
    if (status === 206 && Number(range?.[3]) !== made.bytes.length) throw new Error('the length of another one');
    if (!got.equals(promised.subarray(0, got.length))) throw new Error('other bytes than were promised');
    if (over === 'ended' && got.length !== promised.length) {
      throw new Error(`a clean end after ${got.length} of ${promised.length} bytes`);
    }
  }

  /** Never two requests at once that could wait for one another: the plain ones of one key, before their heads. */
  #checkCold(): void {
    const waiting = new Set<string>();
    for (const exchange of this.bench.upstream.open) {
      const shared = this.#shared.get(exchange);
      if (shared === undefined || this.bodies.has(exchange) || this.#released.has(exchange.request.target)) continue;
      if (waiting.has(shared)) throw new Error(`two requests at once for ${shared}`);
      waiting.add(shared);
    }
  }

  /** Returns the key that has to be collapsed: a plain key without metadata, since its last invalidation. */
  #sharedBy({ request }: ScriptedExchange): string | undefined {
    const special = ['range', 'authorization', 'x-kind', 'if-none-match', 'if-range'];
    if (request.method !== 'GET' || special.some((name) => field(request.headers, name) !== undefined))
      return undefined;
    if (this.bench.engine.memory.get(this.bench.keyOf(request.target)) !== undefined) return undefined;
    return `${request.target}, ${this.#invalidations.get(request.target) ?? 0} times invalidated`;
  }

  /** Lets everything come to its end. */
  async settle(): Promise<void> {
    const { bench, visitors } = this;
    for (let round = 0; round < 200; round++) {
      for (const exchange of bench.upstream.open) {
        if (!this.bodies.has(exchange)) {
          this.#head(exchange, {
            control: 'max-age=10',
            bytes: 500,
            status: 200,
            known: true,
            tagged: true,
            vary: false,
            conditional: 'match',
            ranged: true,
          });
        }
        const body = this.bodies.get(exchange) as { bytes: Buffer; sent: number };
        while (exchange.isOpen && !exchange.isPaused && body.sent < body.bytes.length) {
          const until = Math.min(body.bytes.length, body.sent + 50_000);
          exchange.data(body.bytes.subarray(body.sent, until));
          body.sent = until;
        }
        if (body.sent === body.bytes.length && exchange.queuedBytes === 0) exchange.end();
      }
      for (const visitor of visitors) void visitor.read(10);
      await turn();
      this.check();
      if (bench.upstream.open.length === 0 && visitors.every(({ over, left }) => over !== undefined || left)) break;
    }
    const waiting = visitors.filter(({ over, left }) => over === undefined && !left);
    if (waiting.length > 0)
      throw new Error(`${waiting.length} visitors wait for ever: ${JSON.stringify(waiting[0]?.step)}`);
    const leaks = bench.leaks();
    if (leaks.length > 0) throw new Error(leaks.join('; '));
  }
}

test('under any history a request gets the right bytes or an error, within bounds, by one fetch, and nothing is leaked', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 50 }), async (steps) => {
      const world = new World();
      for (const step of steps) await world.do(step);
      await world.settle();
    }),
    { numRuns: Number(process.env['MODEL_RUNS'] ?? 200) },
  );
  t.pass();
});

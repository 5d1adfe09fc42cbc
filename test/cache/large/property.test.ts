/**
 * Random histories of a large object against a simple model: visitors ask for ranges, read and leave, chunks are
 * evicted, the origin gets other bytes, fails, or stops to answer ranges, the head is purged. Whatever happens, the
 * bytes of one answer are of one version, at their places; an answer that ends is complete; nothing is left behind.
 */
import fc from 'fast-check';
import { test } from 'tap';
import type { Answer } from '../../../cache/answer.ts';
import { chunkKey } from '../../../cache/large/chunk.ts';
import { HttpError } from '../../../http/errors.ts';
import { fieldValue } from '../../../http/fields/headers.ts';
import { parseContentRange } from '../../../http/fields/range.ts';
import type { BodyReader } from '../../../http/message.ts';
import { Bench, turn } from '../engine/bench.ts';
import { bytesOf, LargeOrigin } from './large-origin.ts';

const MIB = 2 ** 20;
const LENGTHS = [9 * MIB, 10 * MIB + 1, 12 * MIB - 7];
const MAX_RUNS = Number(process.env['SEAWALL_LARGE_RUNS'] ?? 20);

/** Much longer than any history takes. */
const MAX_TURNS = 5_000;

const position = fc.double({ min: 0, max: 1, noNaN: true });

const anyStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      from: position,
      bytes: fc.constantFrom(1, 500, MIB, 3 * MIB),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('whole' as const), open: fc.boolean(), from: position }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('suffix' as const), bytes: fc.constantFrom(1, 500, 2 * MIB) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      who: fc.nat(20),
      pieces: fc.integer({ min: 1, max: 60 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), who: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('turns' as const), count: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('evict' as const), chunks: fc.array(fc.nat(12), { maxLength: 6 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('change' as const), length: fc.constantFrom(...LENGTHS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), who: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('ranges' as const), has: fc.boolean(), preconditions: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(5, 70, 200) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('purge' as const), soft: fc.boolean() }) },
);

type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

/** Histories in which readers waited without end for a chunk behind one that was neither read nor stored. */
const FOUND: Step[][] = [
  [
    { do: 'whole', open: true, from: 1.1e-7 },
    { do: 'whole', open: false, from: 0 },
    { do: 'read', who: 0, pieces: 1 },
    { do: 'read', who: 0, pieces: 1 },
  ],
  [
    { do: 'ask', from: 1.1e-7, bytes: 3 * MIB },
    { do: 'ask', from: 0, bytes: 3 * MIB },
    { do: 'turns', count: 1 },
    { do: 'read', who: 0, pieces: 1 },
    { do: 'purge', soft: false },
  ],
];

class Visitor {
  readonly #abort = new AbortController();
  readonly #lengths: ReadonlyMap<number, number>;
  answer: Answer | undefined;
  error: unknown;
  #reader: BodyReader | undefined;
  #version = 0;
  #at = 0;
  #end = 0;
  #budget = 0;
  #wake: (() => void) | undefined;
  hasLeft = false;
  state: 'waiting' | 'reading' | 'ended' | 'broken' = 'waiting';

  /** @param lengths - Of the versions. */
  constructor(bench: Bench, headers: string[], lengths: ReadonlyMap<number, number>) {
    this.#lengths = lengths;
    const { answer } = bench.ask('/film', { headers, clientAbort: this.#abort.signal });
    void this.#run(answer);
  }

  async #run(pending: Promise<Answer>): Promise<void> {
    try {
      const { head, body } = await pending;
      this.#begin(head.status, head.headers);
      this.#reader = body;
      if (this.hasLeft) body?.close();
      this.state = 'reading';
      while (!this.hasLeft && body !== undefined) {
        if (this.#budget-- <= 0)
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        if (this.hasLeft) break;
        const piece = await body.next();
        if (piece === null) break;
        this.#check(piece);
      }
      if (!this.hasLeft && this.#at !== this.#end) throw new Error(`an answer ended at ${this.#at} of ${this.#end}`);
      this.state = 'ended';
    } catch (error) {
      this.state = 'broken';
      this.#reader?.close();
      if (!(error instanceof HttpError)) this.error = error;
    }
  }

  #begin(status: number, headers: readonly string[]): void {
    const tag = /"v(\d+)"/.exec(fieldValue(headers, 'etag') ?? '')?.[1];
    if (status === 416) return;
    if (tag === undefined) throw new Error(`${status} without a tag`);
    this.#version = Number(tag);
    const length = this.#lengths.get(this.#version) as number;
    const place = parseContentRange(fieldValue(headers, 'content-range'));
    if (status === 206) {
      if (place === undefined || 'unsatisfied' in place || place.length !== length)
        throw new Error('a wrong Content-Range');
      this.#at = place.start;
      this.#end = place.end;
    } else if (status === 200) this.#end = length;
    else throw new Error(`answered with ${status}`);
    const declared = fieldValue(headers, 'content-length');
    if (declared !== String(this.#end - this.#at)) throw new Error(`Content-Length: ${declared}`);
  }

  #check(piece: Buffer): void {
    const expected = bytesOf(this.#version, this.#at, this.#at + piece.length);
    if (!piece.equals(expected)) throw new Error(`bytes of another version at ${this.#at}`);
    this.#at += piece.length;
  }

  read(pieces: number): void {
    this.#budget += pieces;
    this.#wake?.();
    this.#wake = undefined;
  }

  leave(): void {
    if (this.hasLeft) return;
    this.hasLeft = true;
    this.#abort.abort();
    this.#reader?.close();
    this.#wake?.();
  }
}

class History {
  readonly bench: Bench;
  readonly #origin: LargeOrigin;
  readonly #visitors: Visitor[] = [];
  readonly #lengths = new Map([[1, LENGTHS[0] as number]]);
  #seq = 0;
  #last = 1;

  constructor(maxBytes: number, store: 'memory' | 'shared') {
    this.bench = new Bench({ maxBytes, store });
    this.#origin = new LargeOrigin(this.bench.upstream, { length: LENGTHS[0] as number });
  }

  #ask(...headers: string[]): void {
    this.#visitors.push(new Visitor(this.bench, headers, this.#lengths));
  }

  #visitor(who: number): Visitor | undefined {
    return this.#visitors[who % Math.max(1, this.#visitors.length)];
  }

  async do(step: Step): Promise<void> {
    const { bench } = this;
    const { length } = this.#origin.options;
    switch (step.do) {
      case 'ask': {
        const first = Math.floor(step.from * (length - 1));
        this.#ask('Range', `bytes=${first}-${first + step.bytes - 1}`);
        break;
      }
      case 'whole':
        if (step.open) this.#ask('Range', `bytes=${Math.floor(step.from * (length - 1))}-`);
        else this.#ask();
        break;
      case 'suffix':
        this.#ask('Range', `bytes=-${step.bytes}`);
        break;
      case 'read':
        this.#visitor(step.who)?.read(step.pieces);
        break;
      case 'leave':
        this.#visitor(step.who)?.leave();
        break;
      case 'turns':
        for (let i = 0; i < step.count; i++) await turn();
        break;
      case 'evict': {
        const heads = bench.store.get(bench.keyOf('/film'));
        for (const { generation } of heads) {
          if (generation !== undefined)
            for (const chunk of step.chunks) bench.store.delete(chunkKey(generation, chunk));
        }
        break;
      }
      case 'change': {
        const version = ++this.#last;
        this.#lengths.set(version, step.length);
        this.#origin.set({ version, length: step.length });
        break;
      }
      case 'fail': {
        const { open } = bench.upstream;
        open[step.who % Math.max(1, open.length)]?.fail();
        break;
      }
      case 'ranges':
        this.#origin.set({ hasRanges: step.has, hasPreconditions: step.preconditions });
        break;
      case 'wait':
        bench.pass(step.seconds);
        break;
      case 'purge':
        bench.ledger.apply([{ seq: ++this.#seq, site: 'shop', kind: 'everything', selector: '', soft: step.soft }]);
    }
    await turn();
  }

  /** Reads all answers to their ends, and checks what is left. */
  async finish(): Promise<void> {
    for (const visitor of this.#visitors) visitor.read(1_000_000);
    const isDone = ({ state }: Visitor): boolean => state === 'ended' || state === 'broken';
    for (let i = 0; i < MAX_TURNS && !this.#visitors.every(isDone); i++) await turn();
    const waiting = this.#visitors.filter((visitor) => !isDone(visitor));
    if (waiting.length > 0) throw new Error(`${waiting.length} visitors wait without end: ${waiting[0]?.state}`);
    for (let i = 0; i < 400 && this.bench.upstream.open.length > 0; i++) await turn();
    const wrong = this.#visitors.find(({ error }) => error !== undefined);
    if (wrong !== undefined) throw wrong.error;
    const leaks = this.bench.leaks();
    if (leaks.length > 0) throw new Error(leaks.join());
    if (this.bench.engine.large.size > 0) throw new Error('a generation is held');
  }
}

for (const { store, maxBytes } of [
  { store: 'memory', maxBytes: 128 * MIB },
  { store: 'memory', maxBytes: 3 * MIB },
  { store: 'shared', maxBytes: 64 * MIB },
] as const) {
  test(
    `no answer has bytes of two generations, or ends too early: ${store}, ${maxBytes / MIB} MiB`,
    { timeout: 170_000 },
    async (t) => {
      await fc.assert(
        fc.asyncProperty(fc.array(anyStep, { minLength: 3, maxLength: 40 }), async (steps) => {
          const history = new History(maxBytes, store);
          for (const step of steps) await history.do(step);
          await history.finish();
        }),
        { numRuns: MAX_RUNS + FOUND.length, examples: FOUND.map((steps) => [steps]), interruptAfterTimeLimit: 150_000 },
      );
      t.pass();
    },
  );
}

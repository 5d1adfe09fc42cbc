/** One fetch for all threads of a process (promise P2), with several real threads, each with an engine and a store. */
import { Worker } from 'node:worker_threads';
import { type Test, test } from 'tap';
import { createSharedMemory, type SupervisedMemory } from '../../../cache/shared/shared-memory.ts';
import type { RawHeaders } from '../../../http/fields/headers.ts';
import { fieldValue } from '../../../http/fields/headers.ts';
import type { FromAsking, ToAsking } from './asking.ts';

const ASKING = new URL('asking.ts', import.meta.url);
const FRESH = ['Cache-Control', 'max-age=60', 'ETag', '"1"'];

type Of<Kind extends FromAsking['kind']> = Extract<FromAsking, { readonly kind: Kind }>;

class Thread {
  readonly worker: Worker;
  readonly token: number;
  readonly all: FromAsking[] = [];
  #wake: (() => void) | undefined;
  #turns = 0;

  constructor(memory: SupervisedMemory) {
    this.token = memory.addThread();
    this.worker = new Worker(ASKING, { workerData: { buffers: memory.buffers, token: this.token } });
    this.worker.on('message', (message: FromAsking) => {
      this.all.push(message);
      this.#wake?.();
    });
  }

  tell(message: ToAsking): void {
    this.worker.postMessage(message);
  }

  ask(id: number, target: string, headers: RawHeaders = []): void {
    this.tell({ do: 'ask', id, target, headers });
  }

  /** Answers the last request for a target upstream, or begins to. */
  head(target: string, status: number, headers: RawHeaders): void {
    this.tell({ do: 'head', target, status, headers });
  }

  data(target: string, from: number, to: number): void {
    this.tell({ do: 'data', target, from, to });
  }

  end(target: string): void {
    this.tell({ do: 'end', target });
  }

  /** Resolves when a request for a target goes upstream. */
  asked(target: string, count = 1): Promise<Of<'upstream'>> {
    return this.next('upstream', (one) => one.target === target && this.upstream(target)[count - 1] === one);
  }

  /** Resolves when requests that were made before have come as far as they can. */
  async turn(): Promise<void> {
    const target = `/turn-${this.token}-${this.#turns++}`;
    this.ask(0, target);
    await this.asked(target);
  }

  /** Resolves with the first message of a kind that fits. */
  async next<Kind extends FromAsking['kind']>(
    kind: Kind,
    fits: (message: Of<Kind>) => boolean = () => true,
  ): Promise<Of<Kind>> {
    for (;;) {
      const found = this.all.find((one): one is Of<Kind> => one.kind === kind && fits(one as Of<Kind>));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Number of times that another thread has followed a fill of this one. */
  get followed(): number {
    return this.all.filter(({ kind }) => kind === 'followed').length;
  }

  answered(id: number): Promise<Of<'answered'>> {
    return this.next('answered', (one) => one.id === id);
  }

  upstream(target: string): readonly Of<'upstream'>[] {
    return this.all.filter((one): one is Of<'upstream'> => one.kind === 'upstream' && one.target === target);
  }
}

/** @returns Threads that can be asked, and the memory that they share. */
async function start(
  t: Test,
  count: number,
): Promise<{ readonly memory: SupervisedMemory; readonly threads: Thread[] }> {
  const memory = createSharedMemory({ maxBytes: 16 * 2 ** 20, threads: count + 1 });
  const threads = Array.from({ length: count }, () => new Thread(memory));
  t.teardown(() => Promise.all(threads.map(({ worker }) => worker.terminate())));
  await Promise.all(threads.map((thread) => thread.next('ready')));
  return { memory, threads };
}

/** Requests for a target that went upstream from these threads. */
const fetches = (threads: readonly Thread[], target: string): number =>
  threads.reduce((sum, thread) => sum + thread.upstream(target).length, 0);

test('while no thread ends', async (t) => {
  const { threads } = await start(t, 3);
  const [a, b, c] = threads as [Thread, Thread, Thread];

  await t.test('a cold key that three threads are asked for is fetched once, and all stream it', async (t) => {
    a.ask(1, '/cold');
    await a.asked('/cold');
    for (const thread of [a, b, c]) for (const id of [2, 3]) thread.ask(id, '/cold');
    a.head('/cold', 200, [...FRESH, 'Content-Length', '300000']);
    a.data('/cold', 0, 100_000);
    for (const thread of [a, b, c]) await thread.next('bytes', ({ id, bytes }) => id === 2 && bytes === 100_000);
    a.data('/cold', 100_000, 300_000);
    a.end('/cold');
    for (const thread of [a, b, c]) {
      for (const id of [2, 3]) {
        t.match(await thread.answered(id), {
          status: 200,
          length: 300_000,
          isRight: true,
          hit: false,
          collapsed: true,
        });
      }
    }
    t.match(await a.answered(1), { status: 200, length: 300_000, isRight: true, collapsed: false });
    t.equal(fetches(threads, '/cold'), 1);
    b.ask(4, '/cold');
    t.match(await b.answered(4), { hit: true, isRight: true });
  });

  for (const [i, { title, headers }] of [
    { title: 'a response that is private', headers: ['Cache-Control', 'private', 'Content-Length', '100'] },
    { title: 'a response of another variant', headers: [...FRESH, 'Vary', 'Accept', 'Content-Length', '100'] },
  ].entries()) {
    await t.test(`${title} releases requests in other threads at its head`, async (t) => {
      const [target, id] = [`/released-${i}`, 10 + i];
      a.ask(id, target, ['Accept', 'text/html']);
      await a.asked(target);
      b.ask(id, target, ['Accept', 'image/png']);
      await b.turn();
      a.head(target, 200, headers);
      await b.asked(target);
      b.head(target, 200, headers);
      b.data(target, 0, 100);
      b.end(target);
      t.match(await b.answered(id), { status: 200, length: 100, isRight: true });
      a.data(target, 0, 100);
      a.end(target);
      await a.answered(id);
    });
  }

  await t.test('an error of the origin answers requests in all threads', async (t) => {
    a.ask(20, '/broken');
    await a.asked('/broken');
    const followed = a.followed;
    b.ask(20, '/broken');
    await a.next('followed', () => a.followed > followed); // one that comes after the error asks anew
    a.tell({ do: 'break', target: '/broken' });
    t.equal((await a.next('failed', ({ id }) => id === 20)).code, 'origin_unreachable');
    t.equal((await b.next('failed', ({ id }) => id === 20)).code, 'origin_unreachable');
    t.equal(fetches(threads, '/broken'), 1);
  });

  await t.test(
    'a response that another thread invalidates while it is fetched is not stored, nor joined',
    async (t) => {
      a.ask(30, '/changed');
      await a.asked('/changed');
      b.tell({ do: 'invalidate', target: '/changed' });
      b.ask(31, '/changed');
      await b.asked('/changed');
      b.head('/changed', 200, ['Cache-Control', 'no-store']);
      b.end('/changed');
      await b.answered(31);
      a.head('/changed', 200, FRESH);
      a.data('/changed', 0, 100);
      a.end('/changed');
      await a.answered(30);
      a.ask(32, '/changed');
      t.ok(await a.asked('/changed', 2));
    },
  );

  await t.test(
    'a body that is larger than what may be on its way comes whole, at the pace of its readers',
    async (t) => {
      const target = '/large';
      a.ask(40, target);
      await a.asked(target);
      for (const id of [41, 42]) b.ask(id, target);
      a.head(target, 200, [...FRESH, 'Content-Length', '6000000']);
      for (let from = 0; from < 6_000_000; from += 500_000) a.data(target, from, from + 500_000);
      a.end(target);
      t.match(await a.answered(40), { status: 200, length: 6_000_000, isRight: true });
      for (const id of [41, 42]) t.match(await b.answered(id), { status: 200, length: 6_000_000, isRight: true });
      t.equal(fetches(threads, target), 1);
    },
  );

  await t.test('a stored response is validated once for all threads', async (t) => {
    const target = '/stale';
    a.ask(50, target);
    await a.asked(target);
    a.head(target, 200, FRESH);
    a.data(target, 0, 50_000);
    a.end(target);
    await a.answered(50);
    for (const thread of threads) thread.tell({ do: 'pass', seconds: 100 });
    a.ask(51, target);
    const { headers } = await a.asked(target, 2);
    t.equal(fieldValue(headers, 'if-none-match'), '"1"');
    b.ask(52, target);
    await b.turn();
    a.head(target, 304, FRESH);
    a.end(target);
    t.match(await a.answered(51), { status: 200, length: 50_000, isRight: true });
    t.match(await b.answered(52), { status: 200, length: 50_000, isRight: true });
    t.equal(fetches(threads, target), 2);
  });
});

test('a thread that ends before the head leaves the fetch to one of those that follow', async (t) => {
  const { memory, threads } = await start(t, 3);
  const [a, b, c] = threads as [Thread, Thread, Thread];
  a.ask(1, '/a');
  await a.asked('/a');
  for (const thread of [b, c]) for (const id of [1, 2]) thread.ask(id, '/a');
  await Promise.all([b.turn(), c.turn()]);
  await a.worker.terminate();
  memory.ended(a.token);
  const next = await Promise.race([b, c].map((one) => one.asked('/a').then(() => one)));
  next.head('/a', 200, FRESH);
  next.data('/a', 0, 5_000);
  next.end('/a');
  for (const thread of [b, c]) {
    for (const id of [1, 2]) t.match(await thread.answered(id), { status: 200, length: 5_000, isRight: true });
  }
  t.equal(fetches([b, c], '/a'), 1);
});

test('a thread that ends in the middle of a body leaves the rest to those that read it', async (t) => {
  const { memory, threads } = await start(t, 2);
  const [a, b] = threads as [Thread, Thread];
  a.ask(1, '/a');
  await a.asked('/a');
  b.ask(2, '/a');
  a.head('/a', 200, [...FRESH, 'Content-Length', '200000']);
  a.data('/a', 0, 120_000);
  await b.next('bytes', ({ bytes }) => bytes === 120_000);
  await a.worker.terminate();
  memory.ended(a.token);
  const { headers } = await b.asked('/a');
  t.equal(fieldValue(headers, 'range'), 'bytes=120000-199999');
  t.equal(fieldValue(headers, 'if-range'), '"1"');
  b.head('/a', 206, ['ETag', '"1"', 'Content-Range', 'bytes 120000-199999/200000']);
  b.data('/a', 120_000, 200_000);
  b.end('/a');
  t.match(await b.answered(2), { status: 200, length: 200_000, isRight: true });
});

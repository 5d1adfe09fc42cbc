/** Connection to a journal: an iteration that can be given up, whatever it does. */
import { test } from 'tap';
import { Connection } from '../../journal/connection.ts';

/** Iteration whose outcome the test decides. */
function scripted() {
  let settle: PromiseWithResolvers<IteratorResult<unknown>> = Promise.withResolvers();
  let returned = 0;
  const iterator: AsyncIterator<unknown> = {
    next: () => {
      settle = Promise.withResolvers();
      return settle.promise;
    },
    return: () => {
      returned += 1;
      return new Promise(() => undefined); // it never ends
    },
  };
  return {
    messages: { [Symbol.asyncIterator]: () => iterator },
    give: (value: unknown) => settle.resolve({ done: false, value }),
    end: () => settle.resolve({ done: true, value: undefined }),
    fail: (error: Error) => settle.reject(error),
    returned: () => returned,
  };
}

test('messages come one by one, and the end is an error', async (t) => {
  const script = scripted();
  const connection = new Connection(script.messages, new AbortController().signal);
  const first = connection.next();
  script.give('a');
  t.equal(await first, 'a');
  const last = connection.next();
  script.end();
  await t.rejects(last, { code: 'journal_ended' });
});

test('a failure of the iteration is that of the message', async (t) => {
  const script = scripted();
  const connection = new Connection(script.messages, new AbortController().signal);
  const message = connection.next();
  script.fail(new Error('reset'));
  await t.rejects(message, { message: 'reset' });
});

test('a connection that is given up answers at once and from then on, with the first reason', async (t) => {
  const script = scripted();
  const connection = new Connection(script.messages, new AbortController().signal);
  const waiting = connection.next();
  connection.giveUp(new Error('silent'));
  connection.giveUp(new Error('later'));
  await t.rejects(waiting, { message: 'silent' });
  script.give('too late');
  await t.rejects(connection.next(), { message: 'silent' });
});

test('a signal that aborts ends the iteration once, also one that has aborted before', async (t) => {
  for (const early of [true, false]) {
    const script = scripted();
    const ending = new AbortController();
    if (early) ending.abort();
    const connection = new Connection(script.messages, ending.signal);
    const waiting = connection.next();
    ending.abort();
    await t.rejects(waiting, { code: 'journal_ended' });
    t.equal(script.returned(), 1);
  }
});

test('an iteration that throws when it is ended does no harm', async (t) => {
  const ending = new AbortController();
  const iterator = {
    next: () => new Promise<never>(() => undefined),
    return: () => {
      throw new Error('no');
    },
  };
  const connection = new Connection({ [Symbol.asyncIterator]: () => iterator }, ending.signal);
  const waiting = connection.next();
  ending.abort();
  await t.rejects(waiting, { code: 'journal_ended' });
});

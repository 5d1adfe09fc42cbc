import { test } from 'tap';
import type { BodyReader } from '../../http/message.ts';
import { EventStreams } from '../../tier/event-streams.ts';

const EVENTS = { status: 200, statusText: 'OK', headers: ['Content-Type', 'text/event-stream; charset=utf-8'] };
const PAGE = { ...EVENTS, headers: ['Content-Type', 'text/html'] };

/** A body that gives one piece and then waits for ever. */
function endless(): BodyReader & { closed: boolean } {
  let given = false;
  return {
    closed: false,
    next() {
      if (given) return new Promise(() => undefined);
      given = true;
      return Buffer.from('data: 1\n\n');
    },
    close() {
      this.closed = true;
    },
  };
}

test('an event stream ends when the node drains, in the middle of a wait as well', async (t) => {
  const streams = new EventStreams();
  const body = endless();
  const reader = streams.reader(EVENTS, body) as BodyReader;
  t.equal(String(await reader.next()), 'data: 1\n\n');
  const waiting = reader.next();
  streams.end();
  t.equal(await waiting, null);
  t.equal(reader.next(), null);
  reader.close();
  t.ok(body.closed);
});

test('one that begins while the node drains ends at once', async (t) => {
  const streams = new EventStreams();
  streams.end();
  t.equal((streams.reader(EVENTS, endless()) as BodyReader).next(), null);
});

test('other bodies are delivered as they are', async (t) => {
  const body = endless();
  t.equal(new EventStreams().reader(PAGE, body), body);
  t.equal(new EventStreams().reader(PAGE, undefined), undefined);
});

import { test } from 'tap';
import { joined, lastTextOf, rememberHead } from '../../../http/http1/last-head.ts';
import type { ResponseHead } from '../../../http/message.ts';

const head = (): ResponseHead => ({ status: 200, statusText: '', headers: [] });

test('the text of a head is known for the next request with the same head and keep-alive time', async (t) => {
  const one = head();
  rememberHead(one, 5, 'text');
  t.equal(lastTextOf(one, 5), 'text');
  t.equal(lastTextOf(one, 6), undefined);
  t.equal(lastTextOf(head(), 5), undefined, 'an equal head is another one');
});

test('head and piece are joined once for requests with the same of both', async (t) => {
  const one = head();
  const piece = Buffer.from('body');
  rememberHead(one, 5, 'text');
  const bytes = joined(one, 'text', piece);
  t.equal(bytes.toString(), 'textbody');
  t.equal(joined(one, 'text', piece), bytes);
  t.equal(joined(one, 'text', Buffer.from('other')).toString(), 'textother');
  t.equal(joined(head(), 'text', piece).toString(), 'textbody');
  t.not(joined(undefined, 'own', piece), bytes);
  rememberHead(head(), 5, 'later');
  t.equal(joined(one, 'text', piece).toString(), 'textbody', 'what was joined for the head before is not used');
});

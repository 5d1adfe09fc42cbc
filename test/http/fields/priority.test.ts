import { test } from 'tap';
import { isPriority, PRIORITIES, visitorPriority } from '../../../http/fields/priority.ts';

for (const { headers, priority } of [
  { headers: [], priority: 'normal' },
  { headers: ['Sec-Fetch-Mode', 'navigate'], priority: 'navigation' },
  { headers: ['sec-fetch-mode', 'navigate', 'Sec-Fetch-Dest', 'document'], priority: 'navigation' },
  { headers: ['Sec-Fetch-Mode', 'no-cors'], priority: 'normal' },
  { headers: ['Sec-Fetch-Mode', 'Navigate'], priority: 'normal' },
  { headers: ['Sec-Purpose', 'prefetch'], priority: 'background' },
  { headers: ['Sec-Fetch-Mode', 'navigate', 'Sec-Purpose', 'prefetch;prerender'], priority: 'background' },
  { headers: ['Purpose', 'prefetch'], priority: 'background' },
  { headers: ['Sec-Purpose', 'prefetching'], priority: 'normal' },
]) {
  test(`a request with ${headers.join(': ') || 'no such field'} is ${priority}`, async (t) => {
    t.equal(visitorPriority(headers), priority);
  });
}

test('priorities are those of the list', async (t) => {
  for (const priority of PRIORITIES) t.ok(isPriority(priority));
  for (const other of ['', 'Normal', undefined, 1]) t.notOk(isPriority(other));
});

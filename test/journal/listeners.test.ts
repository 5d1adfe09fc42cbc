import { test } from 'tap';
import { Listeners } from '../../journal/listeners.ts';

test('a listener that subscribes twice is called twice, and once after one of them has ended', async (t) => {
  const listeners = new Listeners();
  const numbers: number[] = [];
  const listener = (newest: number): void => void numbers.push(newest);
  const end = listeners.add(listener);
  listeners.add(listener);
  listeners.call(1);
  end();
  end();
  listeners.call(2);
  listeners.clear();
  listeners.call(3);
  t.strictSame(numbers, [1, 1, 2]);
});

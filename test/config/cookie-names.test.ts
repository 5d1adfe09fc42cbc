import { test } from 'tap';
import { exactNames, nameReader } from '../../config/cookie-names.ts';

for (const { patterns, name, isExact, isRead } of [
  { patterns: ['session'], name: 'session', isExact: true, isRead: true },
  { patterns: ['session'], name: 'sessions', isExact: false, isRead: false },
  { patterns: ['session'], name: 'SESSION', isExact: false, isRead: true },
  { patterns: ['wp_*'], name: 'wp_logged', isExact: true, isRead: true },
  { patterns: ['a_b'], name: 'a.b', isExact: false, isRead: true },
  { patterns: ['a_b'], name: 'a%5Fb', isExact: false, isRead: true },
  { patterns: ['a_b'], name: 'a[b', isExact: false, isRead: true },
  { patterns: ['a.b'], name: 'axb', isExact: false, isRead: false },
  { patterns: [], name: 'a', isExact: false, isRead: false },
]) {
  test(`${name} is ${isExact ? '' : 'not '}written, and ${isRead ? '' : 'not '}read, as ${patterns.join() || 'nothing'}`, async (t) => {
    t.equal(exactNames(patterns)(name), isExact);
    if (patterns.length > 0) t.equal(nameReader(patterns).isName(name), isRead);
  });
}

for (const { text, isIn } of [
  { text: 'a="session=1"', isIn: true },
  { text: 'a=1 session=2', isIn: true },
  { text: 'a=1,session', isIn: true },
  { text: 'a=mysession', isIn: false },
]) {
  test(`a server could ${isIn ? '' : 'not '}find the name in ${text}`, async (t) => {
    t.equal(nameReader(['session']).isIn(text), isIn);
  });
}

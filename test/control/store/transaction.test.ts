/** Statements that count together or not at all. */
import { DatabaseSync } from 'node:sqlite';
import { test } from 'tap';
import { transaction } from '../../../control/store/transaction.ts';

test('all statements count, or, if one throws, none', async (t) => {
  const db = new DatabaseSync(':memory:');
  t.teardown(() => db.close());
  db.exec('CREATE TABLE one (value INTEGER UNIQUE)');
  const values = () =>
    db
      .prepare('SELECT value FROM one ORDER BY value')
      .all()
      .map(({ value }) => value);
  const add = (...numbers: number[]) => {
    for (const number of numbers) db.prepare('INSERT INTO one VALUES (?)').run(number);
    return numbers.length;
  };
  t.equal(
    transaction(db, () => add(1, 2)),
    2,
  );
  t.throws(() => transaction(db, () => add(3, 1)), /UNIQUE/);
  t.strictSame(values(), [1, 2]);
  transaction(db, () => add(3));
  t.strictSame(values(), [1, 2, 3], 'the next one begins anew');
});

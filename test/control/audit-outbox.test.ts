/** Entries of commands while the journal cannot be written to; test/control/store-contract.ts has the rest. */
import { once } from 'node:events';
import { test } from 'tap';
import { commandEntry, emptyRegularly, type Waiting } from '../../control/audit-outbox.ts';
import { JournalError } from '../../journal/errors.ts';
import type { AuditFields } from '../../journal/journal.ts';

test('entries wait while the journal cannot be written to, which is logged once, and are appended in order of time', async (t) => {
  const waiting = new Map<string, Waiting>();
  const at = (time: string, action: string): Waiting => {
    const { id, entry } = commandEntry(action, {});
    return { id, entry: { ...entry, time } };
  };
  for (const one of [at('2030-01-02', 'second'), at('2030-01-01', 'first')]) waiting.set(one.id, one);
  const noted: AuditFields[] = [];
  const errors: unknown[] = [];
  const events = new EventTarget();
  const alive = setInterval(() => undefined, 1_000); // the pauses between attempts keep no process alive
  t.teardown(() => clearInterval(alive));
  let failures = 3;
  const stop = emptyRegularly({
    outbox: {
      add: async () => undefined,
      list: async () => [...waiting.values()],
      remove: async (id) => {
        waiting.delete(id);
        if (waiting.size === 0) events.dispatchEvent(new Event('empty'));
      },
    },
    journal: {
      note: async (entry) => {
        failures -= 1;
        if (failures >= 0) throw new JournalError('journal_unreachable');
        noted.push(entry);
      },
    },
    node: 'control',
    appended: () => undefined,
    log: { error: (fields: unknown) => errors.push(fields) },
    intervalMs: 1,
  });
  await once(events, 'empty');
  await stop();
  t.match(noted, [
    { action: 'first', node: 'control', result: 'ok', address: 'command' },
    { action: 'second', node: 'control' },
  ]);
  t.equal(errors.length, 1);
});

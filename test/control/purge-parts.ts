/**
 * Purges on a journal in a folder of the test, without a control node.
 * @module
 */
import { join } from 'node:path';
import type { Test } from 'tap';
import { type PurgeOrder, Purges } from '../../control/purges.ts';
import { openEmbeddedJournal } from '../../journal/embedded.ts';
import type { AuditedJournal } from '../../journal/journal.ts';
import { type EpochMs, monotonicMs, wallNow } from '../../lib/clock.ts';

/** A purge of a URL and a tag. */
export const ORDER: PurgeOrder = {
  selectors: [
    { kind: 'url', selector: '//www.example.com/', site: 'shop' },
    { kind: 'tag', selector: 'a', site: 'shop' },
  ],
  soft: false,
  who: 'test',
  reason: '',
  startedAt: monotonicMs(0),
};

export function openParts(t: Test, now: () => EpochMs = wallNow): { journal: AuditedJournal; purges: Purges } {
  const folder = t.testdir({});
  const journal = openEmbeddedJournal(join(folder, 'journal.sqlite'), { now });
  t.teardown(() => journal.close());
  return { journal, purges: new Purges({ journal, appended: () => undefined }) };
}

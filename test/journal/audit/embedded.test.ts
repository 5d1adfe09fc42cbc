/** Tampering with the audit log of an embedded journal. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openAuditLogFile } from '../../../journal/audit/file-log.ts';
import { encodeHead, encodeState } from '../../../journal/audit/log.ts';
import { openEmbeddedJournal } from '../../../journal/embedded.ts';
import { wallNow } from '../../../lib/clock.ts';
import { tamperingContract } from './tampering.ts';

tamperingContract('embedded', async (t) => {
  const file = join(t.testdir(), 'journal.sqlite');
  return {
    open: async (sealing) => openEmbeddedJournal(file, { now: wallNow, defer: setImmediate, ...sealing }),
    read: async () => openAuditLogFile(file),
    async overwrite({ start, entries, head }) {
      const db = new DatabaseSync(file);
      db.exec('BEGIN; DELETE FROM audit_entry; DELETE FROM audit_log');
      const insert = db.prepare('INSERT INTO audit_entry (id, entry, link, checkpoint) VALUES (?, ?, ?, ?)');
      for (const { index, text, link, checkpoint } of entries) insert.run(index, text, link, checkpoint ?? null);
      db.prepare('INSERT INTO audit_log (start, head) VALUES (?, ?)').run(
        JSON.stringify(encodeState(start)),
        JSON.stringify(encodeHead(head)),
      );
      db.exec('COMMIT');
      db.close();
    },
  };
});

/** Tampering with the audit log of a journal in a real etcd. */
import tap from 'tap';
import { encodeHead, encodeState, type SealedEntry } from '../../../journal/audit/log.ts';
import { encode, encodeAudit, Layout } from '../../../journal/etcd/layout.ts';
import { startEtcd } from '../../support/etcd.ts';
import { call, newPrefix, openJournal } from '../etcd.ts';
import { tamperingContract } from './tampering.ts';

const { endpoints, stop } = await startEtcd(1);
tap.teardown(stop);
const endpoint = endpoints[0] as string;

tamperingContract('etcd', async (t) => {
  const prefix = newPrefix();
  const layout = new Layout(prefix);
  return {
    open: (sealing) => openJournal(t, endpoints, prefix, { defer: setImmediate, ...sealing }),
    read: () => openJournal(t, endpoints, prefix),
    async overwrite({ start, entries, head }) {
      await call(endpoint, 'deleterange', { key: layout.audit(0), range_end: layout.auditEnd });
      for (const batch of batchesOf(entries)) {
        const { index } = batch.at(-1) as SealedEntry;
        await call(endpoint, 'put', { key: layout.audit(index), value: encodeAudit('tampered', batch) });
      }
      await call(endpoint, 'put', { key: layout.auditStart, value: encode(encodeState(start)) });
      await call(endpoint, 'put', { key: layout.auditHead, value: encode(encodeHead(head)) });
    },
  };
});

/** Transactions, by their checkpoints; a batch has no hole. */
function batchesOf(entries: readonly SealedEntry[]): SealedEntry[][] {
  const batches: SealedEntry[][] = [[]];
  for (const entry of entries) {
    const batch = batches.at(-1) as SealedEntry[];
    const last = batch.at(-1);
    if (last !== undefined && (last.checkpoint !== undefined || last.index !== entry.index - 1)) batches.push([entry]);
    else batch.push(entry);
  }
  return batches.filter((batch) => batch.length > 0);
}

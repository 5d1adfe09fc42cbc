/** The registry of nodes that several control nodes share, in a real etcd. */
import tap from 'tap';
import { EtcdMembers } from '../../../control/store/etcd-members.ts';
import { EtcdTable } from '../../../control/store/etcd-table.ts';
import { newPrefix } from '../../journal/etcd.ts';
import { startEtcd } from '../../support/etcd.ts';
import { memberContract, type OpenedMembers } from '../member-contract.ts';

const cluster = await startEtcd(1);
tap.teardown(() => cluster.stop());
const { endpoints } = cluster;

memberContract('etcd', async (t) => {
  const prefix = `${newPrefix()}nodes/`;
  const open = async (): Promise<OpenedMembers> => {
    const table = new EtcdTable({ endpoints }, prefix);
    t.teardown(() => table.close());
    return { members: new EtcdMembers(table), again: open };
  };
  return open();
});

/** Contract of journals, against one member of etcd. */
import tap from 'tap';
import { startEtcd } from '../support/etcd.ts';
import { contract } from './contract.ts';
import { opener } from './etcd.ts';

const cluster = await startEtcd(1);
tap.teardown(() => cluster.stop());

contract('etcd, one member', opener(cluster), { branching: 15, steps: 15 });

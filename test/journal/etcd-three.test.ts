/** Contract of journals, against three members of etcd. */
import tap from 'tap';
import { startEtcd } from '../support/etcd.ts';
import { contract } from './contract.ts';
import { opener } from './etcd.ts';

const cluster = await startEtcd(3);
tap.teardown(() => cluster.stop());

contract('etcd, three members', opener(cluster), { branching: 5, steps: 5 });

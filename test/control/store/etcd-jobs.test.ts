/** Jobs in etcd: the queue on a real one, and changes whose outcome was not known. */
import tap, { test } from 'tap';
import { EtcdJobs } from '../../../control/store/etcd-jobs.ts';
import { EtcdTable } from '../../../control/store/etcd-table.ts';
import { JournalError } from '../../../journal/errors.ts';
import type { EtcdAccess, EtcdChannel } from '../../../journal/etcd/connection.ts';
import { newPrefix } from '../../journal/etcd.ts';
import { startEtcd } from '../../support/etcd.ts';
import { queueContract } from '../jobs/queue-contract.ts';

const cluster = await startEtcd(1);
tap.teardown(() => cluster.stop());

queueContract(
  'etcd',
  (t) => {
    const access = { endpoints: cluster.endpoints };
    const prefix = newPrefix();
    const waiting = new EtcdTable(access, `${prefix}waiting/`);
    const jobs = new EtcdJobs(access, `${prefix}jobs/`, waiting);
    t.teardown(() => {
      jobs.close();
      waiting.close();
    });
    return jobs;
  },
  4,
);

interface Body {
  readonly compare: readonly object[];
  readonly success: readonly { readonly request_put?: { readonly key: string; readonly value: string } }[];
}

/** A store that makes the first change, and does not answer; `then` is in the row by the second one. */
function jobsWith(then: (written: string) => string): EtcdJobs {
  let first: string | undefined;
  const access: EtcdAccess = {
    endpoints: ['one'],
    open: async (): Promise<EtcdChannel> => {
      const ending = new AbortController();
      return {
        ended: ending.signal,
        call: async <Response>(_path: string, body: unknown) => {
          const [put] = (body as Body).success;
          if (first === undefined) {
            first = put?.request_put?.value ?? '';
            ending.abort();
            throw new JournalError('journal_unreachable');
          }
          const kvs = [{ key: '', value: then(first), mod_revision: '5' }];
          return { succeeded: false, header: { revision: '5' }, responses: [{ response_range: { kvs } }] } as Response;
        },
        watch: async () => undefined,
        end: () => ending.abort(),
      };
    },
  };
  return new EtcdJobs(access, '/jobs/', new EtcdTable(access, '/waiting/'));
}

const CHANGE = { expect: [{ key: 'lane/a', version: '3' }], put: [{ key: 'lane/a', value: 1 }] };

test('a change whose answer was lost is recognised as made', async (t) => {
  const jobs = jobsWith((written) => written);
  t.teardown(() => jobs.close());
  t.equal(await jobs.commit(CHANGE), true);
});

test('a change that another one came before is not taken for made', async (t) => {
  const other = Buffer.from('{"value":1,"change":"another"}').toString('base64');
  const jobs = jobsWith(() => other);
  t.teardown(() => jobs.close());
  t.equal(await jobs.commit(CHANGE), false);
});

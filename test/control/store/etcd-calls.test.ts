/** Calls of etcd that fail, through a scripted connection. */
import { test } from 'tap';
import { EtcdCalls } from '../../../control/store/etcd-calls.ts';
import { JournalError } from '../../../journal/errors.ts';
import { type EtcdAccess, type EtcdChannel, EtcdRefusal } from '../../../journal/etcd/connection.ts';

/** Each connection fails with the next error, then answers. */
function scripted(errors: readonly Error[]) {
  const opened: string[] = [];
  const left = [...errors];
  const access: EtcdAccess = {
    endpoints: ['one', 'two'],
    random: () => 0,
    open: async (endpoint): Promise<EtcdChannel> => {
      opened.push(endpoint);
      const ending = new AbortController();
      return {
        ended: ending.signal,
        call: async <Response>() => {
          const error = left.shift();
          if (error === undefined) return 'answer' as Response;
          ending.abort();
          throw error;
        },
        watch: async () => undefined,
        end: () => ending.abort(),
      };
    },
  };
  return { access, opened };
}

test('a call that may be made again is made at the next member', async (t) => {
  const { access, opened } = scripted([new JournalError('journal_unreachable'), new EtcdRefusal(14, 'no leader')]);
  let connected = 0;
  const calls = new EtcdCalls(access, () => {
    connected += 1;
  });
  t.teardown(() => calls.close());
  t.equal(await calls.run((connection) => connection.call('/', {})), 'answer');
  t.same(opened, ['one', 'two', 'one']);
  t.equal(connected, 3, 'each is another store, perhaps');
});

for (const { error, code } of [
  { error: new EtcdRefusal(8, 'no space'), code: 'journal_not_written' },
  { error: new JournalError('journal_refused'), code: 'journal_refused' },
]) {
  test(`a call that has failed for good is not made again: ${code}`, async (t) => {
    const { access, opened } = scripted([error]);
    const calls = new EtcdCalls(access);
    t.teardown(() => calls.close());
    await t.rejects(
      calls.run((connection) => connection.call('/', {})),
      { code },
    );
    t.equal(opened.length, 1);
  });
}

/**
 * Contract of every store of control nodes: tokens, drains, the audit log and purges. Its journal has a contract of its
 * own (test/journal/contract.ts).
 * @module
 */
import { type Test, test } from 'tap';
import { commandEntry, emptyOutbox, type OutboxOptions } from '../../control/audit-outbox.ts';
import type { Drain } from '../../control/drains.ts';
import type { ControlStore } from '../../control/store/store.ts';
import { newToken, Tokens } from '../../control/tokens.ts';
import { type EpochMs, epochMs } from '../../lib/clock.ts';
import { aPurge } from '../journal/contract.ts';

export interface OpenedStore {
  readonly store: ControlStore;
  /** Opens what is stored once more, as another process does: beside this one where that is possible, or after it. */
  again(): Promise<OpenedStore>;
}

/** Makes a new, empty store that is gone after the test. */
export type OpenStore = (t: Test, now: () => EpochMs) => Promise<OpenedStore>;

const START = Date.UTC(2026, 0, 1);
const now = (): EpochMs => epochMs(START);
const WANTED = { name: 'deploy', sites: ['shop'], kinds: ['url', 'tag'], read: true } as const;
const DRAIN: Drain = { by: 'ops (0123456789abcdef)', since: '2026-01-01T00:00:00.000Z', reason: 'größer "☃"' };

export function storeContract(name: string, open: OpenStore): void {
  test(`${name}: a token is found by its text, by each that has the store open, until it is revoked`, async (t) => {
    const { store, again } = await open(t, now);
    const tokens = new Tokens(store.tokens, now);
    t.same(await tokens.list(), []);
    const { token, text } = await tokens.create(WANTED);
    const other = await tokens.create({ ...WANTED, name: 'other', expires: START + 1 });
    t.same(await tokens.find(text), token);
    t.match(token, { ...WANTED, created: START, expires: undefined, revoked: undefined });
    t.equal(await tokens.find(`${text.slice(0, -2)}AA`), undefined, 'a wrong secret');
    t.equal(await tokens.find('nonsense'), undefined);
    const elsewhere = new Tokens((await again()).store.tokens, now);
    t.same(await elsewhere.find(text), token);
    t.equal(await elsewhere.revoke(token.id), true);
    t.equal(await elsewhere.revoke(token.id), false);
    t.equal(await elsewhere.revoke('0000000000000000'), false);
    t.equal(await elsewhere.find(text), undefined);
    t.match(
      await elsewhere.list(),
      [
        { id: other.token.id, expires: START + 1 },
        { id: token.id, revoked: START },
      ].sort(byId),
    );
  });

  test(`${name}: two tokens with one id are refused`, async (t) => {
    const { store } = await open(t, now);
    const { stored } = newToken(WANTED, now());
    await store.tokens.add(stored);
    await t.rejects(store.tokens.add({ ...stored, name: 'another' }));
    t.match(await store.tokens.list(), [{ name: 'deploy' }]);
  });

  test(`${name}: a region is drained until it is no more, whichever process is asked`, async (t) => {
    const first = await open(t, now);
    t.equal(await first.store.drains.set('eu', DRAIN), true);
    t.equal(await first.store.drains.set('eu', { ...DRAIN, reason: 'again' }), false);
    t.equal(await first.store.drains.set('us', undefined), false);
    t.equal(await first.store.drains.set('us', DRAIN), true);
    const second = await first.again();
    t.same(
      [...second.store.drains.all],
      [
        ['eu', DRAIN],
        ['us', DRAIN],
      ],
    );
    t.equal(await second.store.drains.set('eu', undefined), true);
    const third = await second.again();
    t.same([...third.store.drains.all.keys()], ['us']);
    t.equal(await third.store.drains.set('eu', DRAIN), true, 'and again');
    t.same([...third.store.drains.all.keys()].sort(), ['eu', 'us']);
  });

  test(`${name}: a purge and its audit entry are found by another process`, async (t) => {
    const { store, again } = await open(t, now);
    await store.journal.append([aPurge()], undefined, ({ first }) => ({ action: 'purge', first }));
    const { journal } = (await again()).store;
    t.equal((await journal.current()).newest, 1);
    t.match(await journal.notes(undefined, 10), [{ entry: { action: 'purge', first: 1 } }]);
  });

  test(`${name}: rows of jobs are changed together, if they are as expected, with their audit entry`, async (t) => {
    const { store, again } = await open(t, now);
    const { jobs } = store;
    t.equal(await jobs.get('job/a'), undefined);
    const entry = (action: string) => commandEntry(action, {});
    const isNew = [{ key: 'job/a', version: undefined }];
    const put = [
      { key: 'job/a', value: { n: 1, text: 'größer \u0000 ☃' } },
      { key: 'lane/a/eu', value: null },
    ];
    t.equal(await jobs.commit({ expect: isNew, put, audit: entry('create job') }), true);
    t.equal(await jobs.commit({ expect: isNew, put: [{ key: 'job/a', value: 2 }], audit: entry('no') }), false);
    const first = await jobs.get('job/a');
    t.match(first, { key: 'job/a', value: { n: 1, text: 'größer \u0000 ☃' } });
    const other = (await again()).store;
    t.same(await other.jobs.get('job/a'), first);
    const expect = [{ key: 'job/a', version: first?.version }];
    t.equal(await other.jobs.commit({ expect, remove: ['job/a', 'job/none'], put: [{ key: 'x/', value: 1 }] }), true);
    t.equal(await other.jobs.get('job/a'), undefined);
    t.equal(await other.jobs.commit({ expect, put }), false, 'it is gone');
    t.equal(await other.jobs.commit({ expect: isNew, put }), true);
    t.not((await other.jobs.get('job/a'))?.version, first?.version, 'a version is never given again');
    t.match(await other.outbox.list(), [{ entry: { action: 'create job' } }]);
    t.equal((await other.outbox.list()).length, 1, 'what was not changed has no entry');
  });

  test(`${name}: rows of jobs are listed by the beginnings of their keys, in order, in pages`, async (t) => {
    const { jobs } = (await open(t, now)).store;
    const keys = ['a/1', 'a/2', 'a/2/3', 'a0', 'a/3', 'b/1', 'a/', 'A/1'];
    await jobs.commit({ put: keys.map((key) => ({ key, value: key })) });
    const list = async (prefix: string, after?: string, limit = 10) =>
      (await jobs.list(prefix, { after, limit })).map(({ key }) => key);
    t.same(await list('a/'), ['a/', 'a/1', 'a/2', 'a/2/3', 'a/3']);
    t.same(await list('a/', undefined, 2), ['a/', 'a/1']);
    t.same(await list('a/', 'a/1', 2), ['a/2', 'a/2/3']);
    t.same(await list('a/', 'a/3'), []);
    t.same(await list('c/'), []);
  });

  test(`${name}: of changes that expect the same one is made, by whichever process`, async (t) => {
    const { jobs } = (await open(t, now)).store;
    await jobs.commit({ put: [{ key: 'lane/a', value: 0 }] });
    for (let round = 0; round < 5; round += 1) {
      const version = (await jobs.get('lane/a'))?.version;
      const change = (value: number) =>
        jobs.commit({ expect: [{ key: 'lane/a', version }], put: [{ key: 'lane/a', value }] });
      const made = await Promise.all([1, 2, 3, 4].map(change));
      t.equal(made.filter(Boolean).length, 1);
      t.equal((await jobs.get('lane/a'))?.value, made.indexOf(true) + 1);
    }
  });

  test(`${name}: an entry of a command is appended once, by whichever process finds it`, async (t) => {
    const { store, again } = await open(t, now);
    const tokens = new Tokens(store.tokens, now);
    const { token } = await tokens.create(WANTED, ({ id }) => commandEntry('create token', { token: id }));
    t.equal(await tokens.revoke('0000000000000000', commandEntry('revoke token', {})), false);
    t.equal(await tokens.revoke(token.id, commandEntry('revoke token', { token: token.id })), true);
    await store.outbox.add(commandEntry('issue', { name: 'eu-1' }));
    const opened = await again();
    const appended: string[] = [];
    const part = (node: string, { outbox, journal }: ControlStore): OutboxOptions => ({
      outbox,
      journal,
      node,
      appended: ({ action }) => appended.push(String(action)),
      log: { error: () => undefined },
    });
    const waiting = await opened.store.outbox.list();
    t.same(waiting.map(({ entry: { action } }) => action).sort(), ['create token', 'issue', 'revoke token']);
    await Promise.all([emptyOutbox(part('one', opened.store)), emptyOutbox(part('other', opened.store))]);
    // A process that ended before it had removed what it appended.
    for (const one of waiting) await opened.store.outbox.add(one);
    await emptyOutbox(part('next', opened.store));
    t.same(await opened.store.outbox.list(), []);
    const rows = await opened.store.journal.notes(undefined, 10);
    t.same(rows.map(({ entry: { action } }) => action).sort(), ['create token', 'issue', 'revoke token']);
    t.match(rows.find(({ entry: { action } }) => action === 'create token')?.entry, {
      address: 'command',
      result: 'ok',
      token: token.id,
      node: /one|other/,
    });
  });
}

function byId(one: { id: string }, other: { id: string }): number {
  return one.id < other.id ? -1 : 1;
}

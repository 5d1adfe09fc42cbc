/** Contract of every registry of nodes (control/members.ts). */
import { type Test, test } from 'tap';
import type { Member, MemberStore } from '../../control/members.ts';

export interface OpenedMembers {
  readonly members: MemberStore;
  /** Opens what is stored once more, as another process does: beside this one where that is possible, or after it. */
  again(): Promise<OpenedMembers>;
}

const row = (name: string, more: Partial<Member> = {}): readonly [string, Member] => [
  name,
  {
    name,
    role: 'edge',
    region: 'eu',
    leaseMs: 60_000,
    about: { version: '1.0.0', config: 'abc', since: '2026-01-01T00:00:00.000Z', memory: { used: 1, size: 2 } },
    applied: { identity: 'j', seq: 3 },
    by: 'control',
    seen: '2026-01-01T00:00:00.000Z',
    renewals: 1,
    changes: 0,
    forgotten: false,
    ...more,
  },
];

export function memberContract(name: string, open: (t: Test) => Promise<OpenedMembers>): void {
  test(`${name}: rows are there as they were written last, for each that has the registry open, until they are removed`, async (t) => {
    const first = await open(t);
    await first.members.refresh();
    t.same([...first.members.all], []);
    const rows = new Map(Array.from({ length: 250 }, (_, index) => row(`eu-${index}`)));
    await first.members.write(rows);
    t.same(new Map(first.members.all), rows, 'known at once where they were written');
    const second = await first.again();
    await second.members.refresh();
    t.same(new Map(second.members.all), rows);
    const next = [row('eu-0', { renewals: 2, about: null, applied: null, leaseMs: null, forgotten: true })] as const;
    await second.members.write(new Map(next));
    await second.members.remove('eu-1');
    await second.members.remove('eu-999');
    const third = await second.again();
    await third.members.refresh();
    rows.set(...next[0]);
    rows.delete('eu-1');
    t.same(new Map(third.members.all), rows);
  });
}

/**
 * Appends by three control nodes at the same time, on one etcd of three members: how long does one wait for its turn,
 * and how long until each control node has it?
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type EtcdJournal, openEtcdJournal } from '../../journal/etcd/journal.ts';
import { wallNow } from '../../lib/clock.ts';
import { startEtcd } from '../../test/support/etcd.ts';
import { usageOf } from '../bench/proc.ts';
import { exactly, number, print } from '../report.ts';
import { quantile } from '../storm/quantiles.ts';

const PURGES_PER_SECOND = 200;
const CONTROLS = 3;

/** The journals of all control nodes are in this process: what is measured is etcd, and their turns. */
export async function measureTurns(seconds: number): Promise<void> {
  const cluster = await startEtcd(3);
  process.on('exit', () => {
    for (const member of cluster.members) member.kill('SIGKILL');
  });
  const journals = await Promise.all(
    Array.from({ length: CONTROLS }, (_, index) => {
      const endpoints = [...cluster.endpoints.slice(index), ...cluster.endpoints.slice(0, index)];
      return openEtcdJournal({ endpoints, random: () => 0, prefix: '/turns/', network: 'turns', now: wallNow });
    }),
  );
  const known = journals.map(knownAt);
  const before = cluster.members.map(({ process: { pid } }) => usageOf(pid as number).cpuMicros);
  const startedAt = performance.now();
  const appends = Array.from({ length: seconds * PURGES_PER_SECOND }, async (_, index) => {
    await sleep((index / PURGES_PER_SECOND) * 1_000);
    const calledAt = performance.now();
    const selector = `//turns.example/${index}`;
    const purge = { site: 'turns', kind: 'url', selector, soft: false, who: 'turns', why: '' } as const;
    const { last } = await (journals[index % CONTROLS] as EtcdJournal).append([purge]);
    return { last, calledAt, ms: performance.now() - calledAt };
  });
  const made = await Promise.all(appends);
  await Promise.all(journals.map((journal) => journal.current()));
  const wallMs = performance.now() - startedAt;
  const used = cluster.members.map(({ process: { pid } }) => usageOf(pid as number).cpuMicros);
  const acknowledged = made.map(({ ms }) => ms).sort((a, b) => a - b);
  const everywhere = made
    .map(({ last, calledAt }) => Math.max(...known.map((times) => times[last] ?? Number.NaN)) - calledAt)
    .sort((a, b) => a - b);
  const times = (what: string, sorted: readonly number[]) =>
    ([0.5, 0.99, 1] as const).map((part) => ({
      what: `${what}: ${part === 1 ? 'max' : `p${part * 100}`}, ms`,
      value: quantile(sorted, part).toFixed(1),
    }));
  print(`6. ${number(PURGES_PER_SECOND)} purges a second for ${seconds} s at ${CONTROLS} control nodes, each in turn`, [
    ...times('call to acknowledged', acknowledged),
    ...times('call to known to all control nodes', everywhere),
    exactly('numbers given twice', made.length - new Set(made.map(({ last }) => last)).size, 0),
    ...used.map((micros, index) => ({
      what: `processor of member ${index + 1} of etcd: % of a core`,
      value: ((micros - (before[index] ?? 0)) / wallMs / 10).toFixed(1),
    })),
  ]);
  await Promise.all(journals.map((journal) => journal.close()));
  await cluster.stop();
}

/** Times at which a control node knows of each number. */
function knownAt(journal: EtcdJournal): readonly number[] {
  const times: number[] = [];
  let newest = 0;
  journal.subscribe((next) => {
    const now = performance.now();
    while (newest < next) {
      newest += 1;
      times[newest] = now;
    }
  });
  return times;
}

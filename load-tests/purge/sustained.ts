/**
 * Many purges a second for a long time: are all of them there, at every node,
 * and what does remembering them cost?
 * @module
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger, type PurgeRecord } from '../../cache/ledger.ts';
import { createLog } from '../../telemetry/log.ts';
import { startNode } from '../../test/support/node-processes.ts';
import { NodeCore } from '../../tier/node-core.ts';
import { usageOf } from '../bench/proc.ts';
import { exactly, number, print } from '../report.ts';
import { quantile } from '../storm/quantiles.ts';
import { type Control, type Edge, HOST, startControl } from './control.ts';

const PURGES_PER_SECOND = 1_000;
/** Calls that may be under way. */
const MAX_CALLS = 96;
/** Part of the wanted rate below which it was not sustained. */
const SUSTAINED = 0.99;
const CATCH_UP_MS = 20_000;

/** A node of this process, which notes what it is told of. */
const WITNESS = 'witness';
const NODES = ['node-1', 'node-2'];

interface Witness {
  /** Records that did not come right after the one before. */
  readonly gaps: () => number;
  readonly core: NodeCore;
  close(): Promise<void>;
}

export async function measureSustained(seconds: number, hasEtcd: boolean): Promise<void> {
  const control = await startControl([...NODES, WITNESS], { limits: { calls: 5_000 }, hasEtcd });
  const real = control.edges.filter(({ name }) => name !== WITNESS);
  const processes = await Promise.all(real.map(({ name, file }) => startNode(name, [file])));
  const witness = witnessOf(control);
  // Numbers of which heap grows that have nothing to do with purges come first.
  await makePurges(control, 2, 'warm');
  await settled(control, real, witness);
  const before = { heap: heapInUse(), ledger: witness.core.ledger.bytes, nodes: await Promise.all(real.map(read)) };
  const residentBefore = processes.map(({ pid }) => residentBytes(pid));

  const cpuBefore = control.parts().map(({ pid }) => usageOf(pid).cpuMicros / 1e6);
  const made = await makePurges(control, seconds, 'sustained');
  const cpu = control.parts().map(({ name, pid }, index) => ({
    name,
    seconds: usageOf(pid).cpuMicros / 1e6 - (cpuBefore[index] ?? 0),
  }));
  const newest = await settled(control, real, witness);
  const nodes = await Promise.all(real.map(read));
  const firsts = made.numbers.toSorted((a, b) => a - b);
  const holes = firsts.filter((seq, index) => index > 0 && seq !== (firsts[index - 1] as number) + 1).length;
  const heapGrowth = heapInUse() - before.heap - made.numbers.length * BYTES_A_NUMBER;
  const audit = await control.verifyAudit();
  /** Nodes, each of which registers once. */
  const followers = real.length + 1;
  const rate = made.numbers.length / made.seconds;
  const where = hasEtcd ? ', three control nodes on three members of etcd' : '';
  print(
    `4. ${number(PURGES_PER_SECOND)} purges a second for ${seconds} s, a URL each, ${real.length + 1} nodes${where}`,
    [
      {
        what: 'purges a second that were acknowledged',
        value: rate.toFixed(0),
        promise: { text: `≥ ${PURGES_PER_SECOND * SUSTAINED}`, kept: rate >= PURGES_PER_SECOND * SUSTAINED },
      },
      { what: 'acknowledged', value: number(made.numbers.length) },
      exactly('refused, or not answered', made.failed, 0),
      { what: 'call to acknowledged (fsynced): p50, ms', value: quantile(made.durationsMs, 0.5).toFixed(1) },
      { what: 'call to acknowledged (fsynced): p99, ms', value: quantile(made.durationsMs, 0.99).toFixed(1) },
      exactly('holes in the acknowledged numbers, or numbers given twice', holes, 0),
      exactly(
        `entries of the audit log but those of ${followers} nodes, ${audit.finding?.code ?? 'signed'}`,
        audit.finding ? -1 : audit.size - followers,
        newest,
      ),
      exactly('records that a node was told of out of order', witness.gaps(), 0),
      exactly('applied by the node of this process, of the journal’s newest', witness.core.ledger.applied, newest),
      ...nodes.flatMap((node, index) => [
        exactly(
          `applied by ${real[index]?.name}, of the journal’s newest`,
          node['seawall_purges_applied'] ?? 0,
          newest,
        ),
      ]),
      ...cpu.map(({ name, seconds: used }) => ({
        what: `processor of ${name}: % of a core`,
        value: ((100 * used) / made.seconds).toFixed(1),
      })),
      { what: 'selectors that a ledger remembers', value: number(witness.core.ledger.size) },
      {
        what: 'seawall_ledger_bytes of a node: growth, MB',
        value: megabytes((nodes[0]?.['seawall_ledger_bytes'] ?? 0) - (before.nodes[0]?.['seawall_ledger_bytes'] ?? 0)),
      },
      { what: 'heap of this process, mostly one ledger: growth after GC, MB', value: megabytes(heapGrowth) },
      { what: 'the same records in a ledger by itself: heap, MB', value: megabytes(ledgerHeap(made.numbers.length)) },
      ...processes.map(({ pid }, index) => ({
        what: `memory of the process ${real[index]?.name}: growth, garbage included, MB`,
        value: megabytes(residentBytes(pid) - (residentBefore[index] ?? 0)),
      })),
    ],
  );
  for (const [what, count] of made.problems) console.log(`  ${count} × ${what}`);
  await witness.close();
  await Promise.all(processes.map((one) => one.kill()));
  await control.close();
}

interface Made {
  readonly numbers: readonly number[];
  /** In ascending order. */
  readonly durationsMs: readonly number[];
  readonly failed: number;
  readonly problems: ReadonlyMap<string, number>;
  readonly seconds: number;
}

/** Memory that this process itself needs per purge: a number and a duration. */
const BYTES_A_NUMBER = 16;

async function makePurges(control: Control, seconds: number, name: string): Promise<Made> {
  const total = Math.round(seconds * PURGES_PER_SECOND);
  const numbers: number[] = [];
  const durationsMs: number[] = [];
  const problems = new Map<string, number>();
  const startedAt = performance.now();
  let started = 0;
  const caller = async (): Promise<void> => {
    for (;;) {
      const index = started;
      if (index >= total) return;
      started += 1;
      const dueMs = (index / PURGES_PER_SECOND) * 1_000 - (performance.now() - startedAt);
      if (dueMs > 1) await sleep(dueMs);
      const start = performance.now();
      try {
        const { first } = await control.purge({ files: [`http://${HOST}/${name}/${index}`] });
        numbers.push(first);
        durationsMs.push(performance.now() - start);
      } catch (error) {
        const { message } = error as Error;
        problems.set(message, (problems.get(message) ?? 0) + 1);
      }
    }
  };
  await Promise.all(Array.from({ length: MAX_CALLS }, caller));
  return {
    numbers,
    durationsMs: durationsMs.toSorted((a, b) => a - b),
    failed: [...problems.values()].reduce((sum, count) => sum + count, 0),
    problems,
    seconds: (performance.now() - startedAt) / 1_000,
  };
}

function witnessOf(control: Control): Witness {
  const { region } = control;
  const log = createLog({ name: WITNESS, level: 'error' });
  const core = new NodeCore({ name: WITNESS, role: 'edge', memoryBytes: 1e6, region, log });
  let gaps = 0;
  const { ledger } = core;
  const apply = ledger.apply.bind(ledger);
  ledger.apply = (records: readonly PurgeRecord[]): void => {
    let last = ledger.applied;
    for (const { seq } of records) {
      if (seq !== last + 1) gaps += 1;
      last = seq;
    }
    apply(records);
  };
  return { gaps: () => gaps, core, close: () => core.close() };
}

type Metrics = Readonly<Record<string, number>>;

/** @returns The node's metrics without their labels. */
async function read({ control }: Edge): Promise<Metrics> {
  const text = await (await fetch(`http://${control}/metrics`)).text();
  const lines = text.matchAll(/^(\w+)(?:\{[^}]*\})? (\S+)$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}

/** Waits until every node has applied everything, or has had time enough. @returns The journal's newest number. */
async function settled(control: Control, nodes: readonly Edge[], { core }: Witness): Promise<number> {
  const { body } = await control.get<{ journal: { newest: number } }>('/healthz');
  const { newest } = body.journal;
  const until = performance.now() + CATCH_UP_MS;
  while (performance.now() < until) {
    const all = await Promise.all(nodes.map(read));
    const applied = all.map((metrics) => metrics['seawall_purges_applied'] ?? 0);
    if (Math.min(core.ledger.applied, ...applied) >= newest) break;
    await sleep(50);
  }
  return newest;
}

/** @returns What so many records cost in a ledger and nowhere else. */
function ledgerHeap(records: number): number {
  const before = heapInUse();
  const ledger = new Ledger({ leaseMs: Number.POSITIVE_INFINITY });
  for (let seq = 1; seq <= records; seq += 1) {
    // Parsed, as what comes from the journal is.
    const line = `{"seq":${seq},"site":"purge","kind":"url","selector":"//${HOST}/sustained/${seq}","soft":false}`;
    ledger.apply([JSON.parse(line) as PurgeRecord]);
  }
  const bytes = heapInUse() - before;
  return ledger.size === 0 ? 0 : bytes; // and it is in use until here
}

function heapInUse(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

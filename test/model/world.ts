/**
 * Runs one history: what happens to the network step by step, and at last a
 * time in which nothing happens, after which every node must have every purge.
 * @module
 */
import './fixed-secret.ts';
import type { Purge } from '../../journal/journal.ts';
import { identityOf } from '../../journal/terms.ts';
import { Clock } from './clock.ts';
import { Control, emptyCopy, type JournalCopy, MemoryJournal } from './control.ts';
import { ModelDisk } from './disk.ts';
import { type DiskProcess, startsWithDisk } from './disk-process.ts';
import { type Action, type Aim, type DiskAction, EDGES, type History, NODES, type NodeName, URLS } from './history.ts';
import { Network } from './network.ts';
import { keyOf, ModelNode } from './node.ts';
import { Oracle, prefixOf, Violation } from './oracle.ts';
import { Origin } from './origin.ts';
import { startsInMemory, type World } from './process.ts';
import type { Breakage } from './rules.ts';

/** By then every node has followed the journal again, whatever there was before: silence, pause, patience. */
const RECOVERY_MS = 16_000;

/** By then every answer has come. */
const ANSWER_MS = 200;

export interface RunOptions {
  readonly breakage?: Breakage | undefined;
  /** Called with each event, line by line. */
  readonly trace?: ((line: string) => void) | undefined;
}

export interface Outcome {
  readonly steps: number;
  readonly purges: number;
  /** Requests to the origin. */
  readonly fetches: number;
  readonly answers: number;
  readonly excused: number;
  /** Answers from disk. */
  readonly fromDisk: number;
  readonly messages: number;
}

/** @throws {Violation} (rejects) when something happens that must not. */
export async function runHistory(history: History, options: RunOptions = {}): Promise<Outcome> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = options.trace === undefined ? 0 : stackTraceLimit; // a tenth of the time went into stacks
  try {
    return await new Model(history, options).run();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

class Model {
  readonly #history: History;
  readonly #options: RunOptions;
  readonly #clock = new Clock();
  readonly #network: Network;
  readonly #origin: Origin;
  readonly #control: Control;
  readonly #oracle: Oracle;
  readonly #nodes: ReadonlyMap<NodeName, ModelNode>;
  /** Disks, and the processes that use them, where nodes have disks. */
  readonly #disks = new Map<NodeName, ModelDisk>();
  readonly #processes = new Map<NodeName, DiskProcess>();
  /** Nodes that are down and come back with what they had. */
  readonly #returning = new Set<NodeName>();
  readonly #visited = new Set<number>();
  /** Time at which the last stopped or paused node continues. */
  #wholeAt = 0;
  #journals = 0;
  #openings = 0;
  /** The journal that was there before the one that is open. */
  #aside: JournalCopy | undefined;
  #failure: unknown;

  constructor(history: History, options: RunOptions) {
    this.#history = history;
    this.#options = options;
    this.#network = new Network(this.#clock, history.noise);
    this.#oracle = new Oracle(this.#clock);
    this.#origin = new Origin(this.#clock, this.#oracle);
    this.#control = new Control(this.#network, this.#open(this.#newJournal()));
    const nodes = new Map<NodeName, ModelNode>();
    const world: World = {
      network: this.#network,
      origin: this.#origin,
      control: this.#control,
      oracle: this.#oracle,
      nodes,
      breakage: options.breakage,
      failed: (error) => {
        this.#failure ??= error;
      },
      learnt: () => this.#learnt(),
      trace: (line) => this.#trace(line),
    };
    for (const name of NODES) nodes.set(name, this.#makeNode(name, world));
    this.#nodes = nodes;
  }

  #makeNode(name: NodeName, world: World): ModelNode {
    if (this.#history.hasDisks !== true) return new ModelNode(name, world, startsInMemory);
    return new ModelNode(name, world, (_world, node) => {
      const disk = new ModelDisk(this.#network, node);
      this.#disks.set(name, disk);
      return startsWithDisk(world, node, disk, (process) => this.#processes.set(name, process));
    });
  }

  async run(): Promise<Outcome> {
    for (const node of this.#nodes.values()) node.start(false);
    await this.#pass(50);
    for (const { afterMs, action } of this.#history.steps) {
      await this.#pass(afterMs);
      this.#clock.steps++;
      this.#trace(() => describeAction(action));
      this.#act(action);
      await this.#pass(0);
    }
    await this.#pass(ANSWER_MS);
    await this.#settle();
    const { purges, fetches, answers, excused, fromDisk } = this.#oracle;
    return { steps: this.#clock.steps, purges, fetches, answers, excused, fromDisk, messages: this.#network.messages };
  }

  /** Ends all disturbances: every node must catch up, and no visitor may get a stale answer. */
  async #settle(): Promise<void> {
    this.#trace(() => 'everything works again');
    this.#network.heal();
    this.#origin.heal();
    for (const disk of this.#disks.values()) disk.heal();
    const wholeAt = Math.max(this.#wholeAt, this.#clock.now);
    await this.#pass(wholeAt - this.#clock.now);
    const state = this.#control.journal.state();
    const identity = identityOf(state.terms, state.newest);
    const isBehind = ({ parts }: ModelNode): boolean =>
      parts.length === 0 ||
      parts.some(({ ledger: { position } }) => position.identity !== identity || position.seq !== state.newest);
    while (this.#clock.now < wholeAt + RECOVERY_MS && [...this.#nodes.values()].some(isBehind)) await this.#pass(1_000);
    const late = [...this.#nodes.values()].find(isBehind);
    if (late !== undefined) {
      const at = JSON.stringify(late.parts.map(({ ledger }) => ledger.position));
      throw new Violation(
        `${late.name} is at ${at} ${RECOVERY_MS} ms after everything works again, and the journal at ${JSON.stringify(state)}`,
      );
    }
    for (const at of EDGES) {
      for (const url of this.#visited) {
        this.#act({ ...LAST_VISIT, at, url });
        await this.#pass(ANSWER_MS);
      }
    }
  }

  async #pass(ms: number): Promise<void> {
    await this.#clock.runUntil(this.#clock.now + ms);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #act(action: Action): void {
    switch (action.type) {
      case 'visit':
        this.#visited.add(action.url);
        for (let i = 0; i < action.visitors; i++) this.#visit(action);
        break;
      case 'change':
        this.#origin.change(action.url, action.profile);
        break;
      case 'purge':
        this.#purge(action.aims, action.soft);
        break;
      case 'publish':
        this.#origin.change(action.url, action.profile);
        this.#purge([action.aim], action.soft);
        break;
      case 'restart':
        this.#restart(action);
        break;
      case 'freeze': {
        const node = this.#node(action.node);
        node.frozenUntil = Math.max(node.frozenUntil, this.#clock.now + action.ms);
        this.#wholeAt = Math.max(this.#wholeAt, node.frozenUntil);
        break;
      }
      case 'cut':
        this.#network.cut(...action.between, action.ms);
        break;
      case 'fail':
        this.#origin.fail(action.how, action.ms);
        break;
      case 'compact':
        this.#control.journal.forget(action.keeps);
        break;
      case 'restore':
        this.#restore(action.loses);
        break;
      case 'reinstate':
        this.#reinstate();
        break;
      case 'renew':
        this.#replace(this.#newJournal());
        break;
      default:
        this.#actOnDisk(action);
    }
  }

  #actOnDisk(action: DiskAction): void {
    const { node: name } = action;
    const [disk, process] = [this.#disks.get(name), this.#processes.get(name)];
    if (disk === undefined || process === undefined) return;
    const isUp = this.#node(name).life !== undefined;
    switch (action.type) {
      case 'reboot':
        if (isUp) this.#reboot(action, disk);
        break;
      case 'evict':
        if (isUp) process.evict(keyOf(action.url));
        break;
      case 'end-thread':
        if (isUp) process.endThread(action.thread, action.steps);
        break;
      case 'copy-disk':
        disk.copy();
        break;
      case 'flip':
        disk.flip(action.file, action.bit);
        break;
      case 'fail-disk':
        disk.fail(action.ms);
        break;
    }
  }

  #reboot(action: Extract<Action, { type: 'reboot' }>, disk: ModelDisk): void {
    const { node, downMs, hasPower, flips, back, missed } = action;
    this.#restart({ type: 'restart', node, downMs, kept: true, aloneMs: 0, missed, forgotten: false });
    if (!hasPower) disk.losePower();
    if (back !== undefined) disk.putBack(back);
    for (const [file, bit] of flips) disk.flip(file, bit);
  }

  #visit(action: Extract<Action, { type: 'visit' }>): void {
    const node = this.#node(action.at);
    if (node.life === undefined) return; // the visitor finds nobody
    const clientAbort = new AbortController();
    this.#network.at(node, this.#clock.now, () => node.visit(action, clientAbort.signal));
    if (action.leavesAfterMs > 0)
      this.#network.at(node, this.#clock.now + action.leavesAfterMs, () => clientAbort.abort());
  }

  #purge(aims: readonly Aim[], soft: boolean): void {
    const { journal } = this.#control;
    const versions = URLS.map((_, url) => this.#origin.version(url));
    void journal.append(aims.map((aim) => purgeOf(aim, soft)));
    for (const [index, record] of journal.records.slice(-aims.length).entries()) {
      const identity = identityOf(journal.line, record.seq) as string;
      this.#oracle.appended(record, aims[index] as Aim, identity, versions);
    }
  }

  #restart({ node: name, downMs, kept, aloneMs, missed, forgotten }: Extract<Action, { type: 'restart' }>): void {
    const node = this.#node(name);
    if (node.life === undefined) return;
    node.kill();
    this.#disks.get(name)?.processEnded();
    if (kept) this.#returning.add(name);
    if (aloneMs > 0) this.#network.cut(name, 'control', downMs + aloneMs);
    this.#learnt();
    this.#wholeAt = Math.max(this.#wholeAt, this.#clock.now + downMs);
    if (missed !== undefined) this.#purge([{ kind: 'url', url: missed }], false);
    if (forgotten) this.#control.journal.forget(0);
    this.#clock.after(downMs, () => {
      this.#returning.delete(name);
      this.#trace(() => `${name} comes back`);
      node.start(kept);
    });
  }

  #restore(loses: number): void {
    const { journal } = this.#control;
    const copy = journal.copy(loses);
    this.#oracle.lost(journal.line, copy);
    this.#replace(copy);
  }

  #reinstate(): void {
    const copy = this.#aside;
    if (copy === undefined) return;
    this.#oracle.lost(this.#control.journal.line, copy);
    this.#replace(copy);
  }

  #replace(copy: JournalCopy): void {
    this.#aside = this.#control.journal.copy(0);
    this.#control.replace(this.#open(copy));
  }

  #newJournal(): JournalCopy {
    return emptyCopy(`j${++this.#journals}`);
  }

  #open(copy: JournalCopy): MemoryJournal {
    const isAnother = this.#options.breakage !== 'rule-9-terms';
    const identity = isAnother ? `t${++this.#openings}` : `t-of-j${this.#journals}`;
    const journal = new MemoryJournal(identity, () => this.#clock.now, copy);
    this.#oracle.opened(journal.line);
    return journal;
  }

  /** A node that is down with its store must catch up when it returns; one that lost everything has nothing old. */
  #learnt(): void {
    const memories = [...this.#nodes.values()]
      .filter(({ life, name }) => life !== undefined || this.#returning.has(name))
      .flatMap(({ memories }) => memories);
    this.#oracle.completeReceipts(memories);
  }

  #node(name: NodeName): ModelNode {
    return this.#nodes.get(name) as ModelNode;
  }

  #trace(line: () => string): void {
    this.#options.trace?.(`${String(this.#clock.elapsedMs).padStart(7)} ms  ${line()}`);
  }
}

const LAST_VISIT = {
  type: 'visit',
  language: 'de',
  method: 'GET',
  hot: true,
  wish: undefined,
  leavesAfterMs: 0,
  visitors: 1,
} as const;

function purgeOf(aim: Aim, soft: boolean): Purge {
  const common = { soft, who: 'model', why: '', site: aim.kind === 'everything' ? '*' : 'site', kind: aim.kind };
  switch (aim.kind) {
    case 'url':
      return { ...common, selector: address(aim.url) };
    case 'variant':
      return {
        ...common,
        selector: JSON.stringify({ url: address(aim.url), headers: ['accept-language', aim.language] }),
      };
    case 'prefix':
      return { ...common, selector: prefixOf(aim.url) };
    case 'pattern':
      return { ...common, selector: `${prefixOf(aim.url)}*` };
    case 'host':
      return { ...common, selector: URLS[aim.url]?.host as string };
    case 'tag':
      return { ...common, selector: aim.tag };
    case 'site':
    case 'everything':
      return { ...common, selector: '' };
  }
}

function address(url: number): string {
  const { host, target } = URLS[url] as (typeof URLS)[number];
  return `//${host}${target}`;
}

/** @returns A step in words. */
export function describeAction(action: Action): string {
  switch (action.type) {
    case 'visit': {
      const { at, method, url, language, visitors, hot, wish, leavesAfterMs } = action;
      const who = visitors === 1 ? 'a visitor asks' : `${visitors} visitors ask`;
      const more = [hot && at !== 'owner' && 'hot', wish, leavesAfterMs > 0 && `gone after ${leavesAfterMs} ms`];
      return `${who} ${at}: ${method} ${address(url)} (${[language, ...more].filter(Boolean).join('; ')})`;
    }
    case 'change':
      return `the origin changes ${address(action.url)}: ${JSON.stringify(action.profile)}`;
    case 'purge':
      return action.aims.map((aim) => describePurge(aim, action.soft)).join('; ');
    case 'publish': {
      const { url, profile, aim, soft } = action;
      return `the origin changes ${address(url)}: ${JSON.stringify(profile)}; ${describePurge(aim, soft)}`;
    }
    case 'restart': {
      const { node, downMs, kept, aloneMs, missed, forgotten } = action;
      const alone = aloneMs === 0 ? '' : `; the journal is out of its reach for ${aloneMs} ms more`;
      const purge = missed === undefined ? '' : `; ${describePurge({ kind: 'url', url: missed }, false)} meanwhile`;
      return `${node} is killed for ${downMs} ms; its store is ${kept ? 'kept' : 'lost'}${alone}${purge}${forgotten ? '; then the journal forgets all records' : ''}`;
    }
    case 'freeze':
      return `${action.node} stands still for ${action.ms} ms`;
    case 'cut':
      return `${action.between.join(' and ')} are cut off from each other for ${action.ms} ms`;
    case 'fail':
      return `the origin fails for ${action.ms} ms (${action.how})`;
    case 'compact':
      return `the journal forgets all but its ${action.keeps} newest records`;
    case 'restore':
      return `the journal is restored from a copy without its ${action.loses} newest records`;
    case 'reinstate':
      return 'the journal that was there before is put back in its place';
    case 'renew':
      return 'the control node begins a new journal';
    default:
      return describeDiskAction(action);
  }
}

function describeDiskAction(action: DiskAction): string {
  const { node } = action;
  switch (action.type) {
    case 'reboot': {
      const { downMs, hasPower, flips, back, missed } = action;
      const more = [
        flips.length > 0 && `bits change: ${flips.map(([file, bit]) => `${bit} of file ${file}`).join(', ')}`,
        back && `the copy of its folder is put back (${back})`,
        missed !== undefined && `${describePurge({ kind: 'url', url: missed }, false)} meanwhile`,
      ];
      const what = hasPower ? 'is killed' : 'loses its power';
      return [`${node} ${what} for ${downMs} ms; its disk is kept`, ...more.filter(Boolean)].join('; ');
    }
    case 'evict':
      return `${node} evicts ${address(action.url)} from memory`;
    case 'end-thread':
      return `a thread of ${node} (${action.thread}) ends after ${action.steps} steps`;
    case 'copy-disk':
      return `the folder of ${node} is copied`;
    case 'flip':
      return `bit ${action.bit} of file ${action.file} of ${node} changes`;
    case 'fail-disk':
      return `the disk of ${node} fails for ${action.ms} ms`;
  }
}

function describePurge(aim: Aim, soft: boolean): string {
  const { kind, selector } = purgeOf(aim, soft);
  return `${soft ? 'soft' : 'hard'} purge of ${kind}${selector === '' ? '' : ` ${selector}`}`;
}

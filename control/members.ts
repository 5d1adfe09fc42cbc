/**
 * Registry of the nodes: who is there, who was, and which of them have to apply a purge before a receipt may say so.
 *
 * A node registers with a control node when it begins to follow the journal. The control nodes whose region files name
 * it keep a row for it in the store, and renew the row for as long as they hear from it: so each control node knows the
 * nodes that another one was started with. A row stays when its node is gone, until an operator has the node forgotten.
 *
 * A row is as old as the time since this process has seen it change, by the monotonic clock: clocks of other machines
 * do not count.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import type { AppliedReport, NodeAbout, Registration } from '../journal/wire.ts';
import { type EpochMs, LONG_AGO, type MonotonicMs, msBetween } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import type { KnownNode, Progress } from './progress.ts';

/** A row of the registry. */
export interface Member {
  readonly name: string;
  readonly role: 'edge' | 'shield' | 'control';
  readonly region: string;
  /** Lease that it has registered; null where it has not said. */
  readonly leaseMs: number | null;
  /** Null until it has said. */
  readonly about: NodeAbout | null;
  /** Its position in the journal; null until it has reported one. */
  readonly applied: { readonly identity: string; readonly seq: number } | null;
  /** Control node that wrote the row. */
  readonly by: string;
  /** ISO 8601, by the clock of that control node: for people. */
  readonly seen: string;
  /** Number of renewals: each is news. */
  readonly renewals: number;
  /** Number of changes of what the node runs. */
  readonly changes: number;
  /** True: an operator has said that the node is gone. */
  readonly forgotten: boolean;
}

/** Rows of the registry, as any control node has written them. */
export interface MemberStore {
  /** True if other control nodes write to it as well. */
  readonly isShared: boolean;
  /** By their keys (`rowKey`), as known here. */
  readonly all: ReadonlyMap<string, Member>;
  /** Resolves when `all` has what was written before the call. @throws What reading fails with. */
  refresh(): Promise<void>;
  /** Durable when it resolves. @throws What writing fails with. */
  write(members: ReadonlyMap<string, Member>): Promise<void>;
  /** @throws What writing fails with. */
  remove(key: string): Promise<void>;
}

/**
 * `present`: some control node has heard from it within its lease. `missing`: none has. `unknown`: this control node
 * has not run for that long. `never_seen`: a region file names it.
 */
export type Presence = 'present' | 'missing' | 'unknown' | 'never_seen' | 'forgotten';

/** A node that calls, as it names itself. */
export interface CallingNode extends Omit<Registration, 'leaseMs'> {
  readonly name: string;
}

export interface MemberChange {
  readonly action:
    | 'register node'
    | 'config of node'
    | 'certificate of node'
    | 'version of node'
    | 'revocation list of node';
  readonly member: Member;
  readonly before: Member | undefined;
}

export interface MembersOptions {
  readonly store: MemberStore;
  readonly regions: readonly RegionConfig[];
  readonly progress: Progress;
  /** This control node. */
  readonly self: () => { readonly name: string; readonly region: string; readonly about: NodeAbout };
  readonly monotonic: () => MonotonicMs;
  readonly now: () => EpochMs;
  /** Called with each change of what a node runs, once for all control nodes if it is noted by its key. */
  readonly changed: (change: MemberChange) => void;
  readonly log: Pick<Logger, 'warn' | 'info'>;
  readonly intervalMs?: number;
}

/** A node is missing when nothing was heard of it for this long. */
export const LEASE_MS = 30_000;
/** Interval in which rows are renewed. */
const RENEWAL_MS = 10_000;
/** Positions change all the time: other control nodes need not know each. */
const POSITION_MS = 1_000;
const INTERVAL_MS = 1_000;
/** A node that is replaced has two streams for a while. */
const TWO_STREAMS_MS = 60_000;

/** Key of a row: its name, and for a control node one that no other node can have. */
export function rowKey({ name, role }: Pick<Member, 'name' | 'role'>): string {
  return role === 'control' ? controlRow(name) : name;
}

function controlRow(name: string): string {
  return `control/${name}`;
}

interface Seen {
  readonly renewals: number;
  readonly by: string;
  readonly at: MonotonicMs;
}

export class Members {
  readonly #options: MembersOptions;
  readonly #startedAt: MonotonicMs;
  readonly #timer: NodeJS.Timeout;
  /** Nodes that the files of this control node name, by their names. */
  #named: ReadonlyMap<string, KnownNode> = new Map();
  readonly #seen = new Map<string, Seen>();
  /** Nodes with two streams, and since when. */
  readonly #doubled = new Map<string, { readonly since: MonotonicMs; isReported: boolean }>();
  #followers = '';
  #isFailing = false;
  #working: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** Reads the store. @throws What reading fails with. */
  static async open(options: MembersOptions): Promise<Members> {
    await options.store.refresh();
    return new Members(options);
  }

  private constructor(options: MembersOptions) {
    this.#options = options;
    this.#startedAt = options.monotonic();
    for (const [name, { renewals, by }] of options.store.all) this.#seen.set(name, { renewals, by, at: LONG_AGO });
    this.reload(options.regions);
    this.#timer = setInterval(() => void this.renew(), options.intervalMs ?? INTERVAL_MS);
    this.#timer.unref();
    void this.renew();
  }

  reload(regions: readonly RegionConfig[]): void {
    this.#named = new Map(regions.flatMap(followersOf).map((node) => [node.name, node]));
    this.#tell();
  }

  /** Returns the row of a node, as it was last written by any control node. */
  row(name: string): Member | undefined {
    return this.#options.store.all.get(name);
  }

  /** Returns whether a region file of this control node names the node. */
  isNamed(name: string): boolean {
    return this.#named.has(name);
  }

  /** Returns the rows of nodes that the files of this control node do not name, and those of control nodes. */
  others(): Member[] {
    return [...this.#options.store.all.values()].filter(({ name, role }) => role === 'control' || !this.isNamed(name));
  }

  presence(name: string): Presence {
    const { store, progress, monotonic } = this.#options;
    if (progress.isConnected(name)) return 'present';
    const row = store.all.get(name);
    if (row === undefined) return 'never_seen';
    if (row.forgotten) return 'forgotten';
    if (this.#isLive(row, name)) return 'present';
    return msBetween(this.#startedAt, monotonic()) < LEASE_MS ? 'unknown' : 'missing';
  }

  /** Returns whether two processes follow the journal under the name, for longer than one takes over from another. */
  isDoubled(name: string): boolean {
    const doubled = this.#doubled.get(name);
    return doubled !== undefined && msBetween(doubled.since, this.#options.monotonic()) >= TWO_STREAMS_MS;
  }

  /**
   * Returns whether a node is one of this network: a region file names it so, here or at another control node that
   * hears from it.
   */
  isKnown({ name, role, region }: CallingNode): boolean {
    const row = this.#options.store.all.get(name);
    const known = this.#named.get(name) ?? (row && this.#isElsewhere(row) ? row : undefined);
    if (known === undefined) return false;
    return (role === undefined || role === known.role) && (region === undefined || region === known.region);
  }

  /** Returns the region of a node that is one of this network. */
  regionOf(name: string): string | undefined {
    if (!this.isKnown({ name })) return undefined;
    return this.#named.get(name)?.region ?? this.row(name)?.region;
  }

  /**
   * Registers a node that begins to follow the journal. Resolves when every control node that reads the store from now
   * on waits for it.
   *
   * @throws What writing fails with, where several control nodes share the store.
   */
  async register({ name }: CallingNode, leaseMs: number | undefined): Promise<void> {
    const { store } = this.#options;
    const named = this.#named.get(name);
    if (named === undefined) return; // the control node whose files name it has registered it
    if (store.isShared) await store.refresh(); // another one may have forgotten it
    const row = store.all.get(name);
    const isRegistered = row !== undefined && !row.forgotten && (row.leaseMs ?? 0) >= (leaseMs ?? 0);
    const isMoved = row !== undefined && (row.role !== named.role || row.region !== named.region);
    if (isRegistered && !isMoved) return;
    const next = { ...this.#rowOf(named), leaseMs: leaseMs ?? null };
    try {
      await this.#write([next]);
    } catch (error) {
      if (store.isShared) throw error;
      this.#look(); // no other process gives receipts
    }
  }

  /**
   * Brings what is known here up to date, so that a receipt that is given afterwards speaks of every node that was
   * registered before.
   *
   * @returns False if that is not possible at the moment.
   */
  async refresh(): Promise<boolean> {
    const { store } = this.#options;
    if (!store.isShared) return true;
    try {
      await store.refresh();
    } catch {
      return false;
    }
    this.#look();
    return true;
  }

  /**
   * Takes a node off the list that receipts wait for. It is back when it registers again.
   *
   * @returns `present`: it is there, and stays on the list; `not_found`: there is no such node.
   * @throws What writing fails with.
   */
  async forget(name: string): Promise<'forgotten' | 'present' | 'not_found'> {
    const { store } = this.#options;
    await store.refresh();
    this.#look();
    const named = this.#named.get(name);
    const row = store.all.get(name) ?? store.all.get(controlRow(name));
    if ((row === undefined && named === undefined) || (row?.forgotten && named === undefined)) return 'not_found';
    const key = row?.role === 'control' ? controlRow(name) : name;
    if (this.presence(key) === 'present') return 'present';
    if (named === undefined) await store.remove(key);
    else await this.#write([{ ...this.#rowOf(named), forgotten: true }]);
    this.#look();
    return 'forgotten';
  }

  /** Renews the rows of the nodes that this control node hears from, and reads those of others. Never rejects. */
  renew(): Promise<void> {
    this.#working = this.#working.then(async () => {
      if (this.#isClosed) return;
      try {
        await this.#options.store.refresh();
        this.#look();
        await this.#write(this.#due());
        this.#lookForDoubles(this.#options.monotonic());
        if (this.#isFailing) this.#options.log.info('the registry of nodes can be written again');
        this.#isFailing = false;
      } catch (error) {
        if (!this.#isFailing) this.#options.log.warn({ err: error }, 'the registry of nodes cannot be read or written');
        this.#isFailing = true;
      }
    });
    return this.#working;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#working;
  }

  /** Rows to be written now. */
  #due(): Member[] {
    const { store, progress, monotonic } = this.#options;
    const due: Member[] = [];
    for (const node of this.#named.values()) {
      if (!progress.isConnected(node.name)) continue;
      const before = store.all.get(node.name);
      const next = this.#rowOf(node);
      const ageMs = msBetween(this.#seen.get(node.name)?.at ?? LONG_AGO, monotonic());
      if (this.#isNews(before, next, ageMs)) due.push(next);
    }
    const own = this.#ownRow();
    const before = store.all.get(controlRow(own.name));
    const ageMs = msBetween(this.#seen.get(controlRow(own.name))?.at ?? LONG_AGO, monotonic());
    if (this.#isNews(before, own, ageMs)) due.push(own);
    return due;
  }

  #isNews(before: Member | undefined, next: Member, ageMs: number): boolean {
    if (before === undefined || before.forgotten || ageMs >= RENEWAL_MS || next.changes !== before.changes) return true;
    if (before.role !== next.role || before.region !== next.region) return true;
    if (before.about === null && next.about !== null) return true;
    const hasMoved = next.applied?.seq !== before.applied?.seq || next.applied?.identity !== before.applied?.identity;
    return this.#options.store.isShared && ageMs >= POSITION_MS && hasMoved;
  }

  /** Row of a node as this control node knows it. */
  #rowOf(node: KnownNode): Member {
    const { store, progress, self, now } = this.#options;
    const { name, role, region } = node;
    const before = store.all.get(name);
    const { about, last } = progress.reportedBy(name);
    const row = {
      name,
      role,
      region,
      leaseMs: before?.leaseMs ?? null,
      about: about ?? before?.about ?? null,
      applied: last ?? before?.applied ?? null,
      by: self().name,
      seen: new Date(now()).toISOString(),
      renewals: (before?.renewals ?? 0) + 1,
      changes: before?.changes ?? 0,
      forgotten: false,
    };
    return { ...row, changes: row.changes + (changesOf(before, row).length > 0 ? 1 : 0) };
  }

  #ownRow(): Member {
    const { store, self, now } = this.#options;
    const { name, region, about } = self();
    const before = store.all.get(controlRow(name));
    const row = {
      name,
      role: 'control' as const,
      region,
      leaseMs: null,
      about,
      applied: null,
      by: name,
      seen: new Date(now()).toISOString(),
      renewals: (before?.renewals ?? 0) + 1,
      changes: before?.changes ?? 0,
      forgotten: false,
    };
    return { ...row, changes: row.changes + (changesOf(before, row).length > 0 ? 1 : 0) };
  }

  async #write(rows: readonly Member[]): Promise<void> {
    if (rows.length === 0) return;
    const { store, changed } = this.#options;
    const changes = rows.flatMap((member) => {
      const before = store.all.get(rowKey(member));
      return changesOf(before, member).map((action) => ({ action, member, before }));
    });
    await store.write(new Map(rows.map((row) => [rowKey(row), row])));
    this.#look();
    for (const change of changes) changed(change);
  }

  /** Notes which rows have changed, and tells what they say. */
  #look(): void {
    const { store, progress, monotonic } = this.#options;
    const now = monotonic();
    const reports: AppliedReport[] = [];
    let hasNews = this.#seen.size !== store.all.size;
    for (const [name, { renewals, by, applied, role }] of store.all) {
      const seen = this.#seen.get(name);
      if (seen?.renewals === renewals && seen.by === by) continue;
      hasNews = true;
      this.#seen.set(name, { renewals, by, at: now });
      // A node need not report to each control node.
      if (role !== 'control' && applied !== null && !progress.isConnected(name))
        reports.push({ node: name, ...applied });
    }
    if (!hasNews) return;
    for (const name of this.#seen.keys()) if (!store.all.has(name)) this.#seen.delete(name);
    this.#tell();
    for (const report of reports) progress.report(report);
  }

  /** Tells which nodes have to apply each purge: those that files name, and those that have registered. */
  #tell(): void {
    const { store, progress } = this.#options;
    const rows = [...store.all.values()].filter((row) => row.role !== 'control');
    const followers: KnownNode[] = [];
    for (const node of this.#named.values()) {
      const row = store.all.get(node.name);
      if (row?.forgotten) continue;
      followers.push({ ...node, leaseMs: Math.max(node.leaseMs, row?.leaseMs ?? 0) });
    }
    for (const { name, role, region, leaseMs, forgotten } of rows) {
      if (forgotten || role === 'control' || this.#named.has(name)) continue;
      followers.push({ name, role, region, leaseMs: leaseMs ?? DEFAULT_LEASE_MS });
    }
    const text = JSON.stringify(followers);
    if (text === this.#followers) return;
    this.#followers = text;
    progress.setNodes(followers);
  }

  #lookForDoubles(now: MonotonicMs): void {
    const { progress, log } = this.#options;
    for (const { name } of progress.nodes()) {
      const doubled = this.#doubled.get(name);
      if (progress.streamsOf(name) < 2) this.#doubled.delete(name);
      else if (doubled === undefined) this.#doubled.set(name, { since: now, isReported: false });
      else if (!doubled.isReported && this.isDoubled(name)) {
        doubled.isReported = true;
        log.warn({ node: name }, 'two processes follow the journal under the name of one node: rename one, or stop it');
      }
    }
  }

  #isLive(row: Member, name: string = rowKey(row)): boolean {
    const seen = this.#seen.get(name);
    return !row.forgotten && seen !== undefined && msBetween(seen.at, this.#options.monotonic()) < LEASE_MS;
  }

  /** Returns whether another control node hears from the node, and names it. */
  #isElsewhere(row: Member): row is Member & { role: 'edge' | 'shield' } {
    return row.role !== 'control' && row.by !== this.#options.self().name && this.#isLive(row);
  }
}

/** For a node of another region that has not said: that of the config's default. */
const DEFAULT_LEASE_MS = 60_000;

/** Edges and shields that a region file names. */
function followersOf({ region, edges, shields, purges }: RegionConfig): KnownNode[] {
  const { lease: leaseMs } = purges;
  return [
    ...edges.map(({ name }) => ({ region, name, role: 'edge' as const, leaseMs })),
    ...shields.map(({ name }) => ({ region, name, role: 'shield' as const, leaseMs })),
  ];
}

/** Returns the changes of what a node runs. */
function changesOf(before: Member | undefined, next: Member): MemberChange['action'][] {
  if (next.forgotten) return [];
  if (before === undefined || before.forgotten) return next.role === 'control' ? [] : ['register node'];
  const [old, about] = [before.about, next.about];
  if (old === null || about === null) return [];
  return [
    ...(old.version === about.version ? [] : (['version of node'] as const)),
    ...(old.config === about.config ? [] : (['config of node'] as const)),
    ...(old.certificate_expires === about.certificate_expires ? [] : (['certificate of node'] as const)),
    ...(old.revocations === about.revocations ? [] : (['revocation list of node'] as const)),
  ];
}

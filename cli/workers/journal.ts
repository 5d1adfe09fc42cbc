/**
 * The journal of an edge with a disk cache in a network without a control node: it is kept beside the disk cache, so
 * that no purge is undone by a restart.
 * @module
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DiskInUseError } from '../../cache/disk/folder.ts';
import { controlUrls } from '../../config/control-urls.ts';
import { siblingPath } from '../../config/path.ts';
import { ConfigError } from '../../config/problem.ts';
import type { EdgeConfig, LimitsConfig, RegionConfig } from '../../config/schema.ts';
import { compactRegularly } from '../../control/compaction.ts';
import { type Listener, listen } from '../../http/listener/listener.ts';
import { type EmbeddedJournal, openEmbeddedJournal } from '../../journal/embedded.ts';
import { JournalError } from '../../journal/errors.ts';
import { journalRoutes, serveRoutes } from '../../journal/routes.ts';
import { wallNow } from '../../lib/clock.ts';
import { Components } from '../../lib/components.ts';
import type { Logger } from '../../telemetry/log.ts';
import { diskInUse } from '../../tier/node-disk.ts';
import { bySecret } from '../../trust/authentication.ts';

export interface OwnJournalOptions {
  readonly region: RegionConfig;
  readonly edge: EdgeConfig;
  readonly current: () => RegionConfig;
  readonly log: Logger;
}

/** Starts a journal for an edge with a disk that is the whole of a network without a control node. */
export async function startOwnJournal(options: OwnJournalOptions): Promise<OwnJournal | undefined> {
  const { region, edge, current, log } = options;
  if (edge.disk === undefined || hasJournal(region) || !isAlone(region)) return undefined;
  const folder = siblingPath(region.file, edge.disk.path);
  try {
    return await serveJournal(folder, { limits: region.limits, log, secret: () => current().tier_secret });
  } catch (error) {
    if (error instanceof DiskInUseError) throw new ConfigError([diskInUse(region, error.path)]);
    throw error;
  }
}

/** @returns The region as one that follows the journal. */
export function withJournal(region: RegionConfig, journal: OwnJournal | undefined): RegionConfig {
  return journal === undefined || hasJournal(region)
    ? region
    : { ...region, purges: { ...region.purges, journal: [journal.url] } };
}

function hasJournal(region: RegionConfig): boolean {
  return controlUrls(region).length > 0;
}

/**
 * Returns whether the edge is the whole network. Between nodes, positions in a journal local to one machine mean
 * nothing: their responses would count as unverified.
 */
function isAlone({ edges, reachableShields }: RegionConfig): boolean {
  return edges.length === 1 && reachableShields.length === 0;
}

export interface OwnJournal {
  /** For `purges.journal`. */
  readonly url: string;
  close(): Promise<void>;
}

const RETENTION = { retentionMs: 30 * 86_400_000, maxRecords: 100_000 };

interface ServingOptions {
  readonly secret: () => string;
  readonly limits: LimitsConfig;
  readonly log: Logger;
}

async function serveJournal(folder: string, { secret, limits, log }: ServingOptions): Promise<OwnJournal> {
  const components = new Components<never>();
  const { journal, isKept } = openJournal(folder, log);
  await components.start('journal', () => journal, { close: (part) => (isKept ? part.close() : undefined) });
  await components.start('compaction', () => compactRegularly(() => ({ journal, ...RETENTION, now: wallNow }), log), {
    close: (stop) => stop(),
  });
  const closing = await components.start('calls', () => new AbortController(), { drain: (part) => part.abort() });
  const { signal } = closing;

  const routes = journalRoutes({
    journal,
    authentication: bySecret(secret),
    signal,
    followed: () => () => undefined,
    reported: () => undefined, // the edge itself waits for its threads
    append: (purges) => (isKept ? journal.append(purges) : Promise.reject(new JournalError('journal_broken'))),
  });
  const answer = serveRoutes(routes, (error) =>
    log.error({ err: error }, 'a call of the journal beside the disk failed'),
  );
  const { listener } = await components.listen(
    {
      listener: (started) =>
        listen(started, {
          address: '127.0.0.1:0',
          limits,
          onRequest: ({ request, response }) => answer(request, response),
        }),
    },
    { update: () => undefined, close: (part: Listener) => part.close() },
  );
  return { url: `http://${listener.address}`, close: () => components.close() };
}

interface Opened {
  readonly journal: EmbeddedJournal;
  /** False if a purge would be forgotten at a restart, which finds what it has purged. */
  readonly isKept: boolean;
}

function openJournal(folder: string, log: Logger): Opened {
  const inMemory = (): EmbeddedJournal => openEmbeddedJournal(':memory:', { now: wallNow });
  const file = join(folder, 'journal');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { journal: openSound(file, log), isKept: true };
  } catch (error) {
    const { code } = error as JournalError;
    if (code === 'journal_in_use') throw new DiskInUseError(folder);
    const detail = (error as Error).message;
    log.error(
      { file, detail },
      'the journal beside the disk cache cannot be written: purges are refused until a restart',
    );
    return { journal: inMemory(), isKept: false };
  }
}

/** One that is damaged is begun anew: what was stored under it is then revalidated before use (rule 9). */
function openSound(file: string, log: Logger): EmbeddedJournal {
  try {
    return openEmbeddedJournal(file, { now: wallNow });
  } catch (error) {
    const { code, message: detail } = error as JournalError;
    if (code !== 'journal_corrupt' && code !== 'journal_version' && code !== 'journal_foreign') throw error;
    log.warn({ file, detail }, 'the journal beside the disk cache is begun anew: stored responses are revalidated');
    for (const name of [file, `${file}-wal`, `${file}-shm`]) rmSync(name, { force: true });
    return openEmbeddedJournal(file, { now: wallNow });
  }
}

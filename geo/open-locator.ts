/**
 * A locator over .mmdb files that are read again when they change: beside the
 * ones in use, without blocking the event loop, and not used when they are broken.
 * @module
 */

import { createRequire } from 'node:module';
import { problemWithout, readYaml } from '../config/document.ts';
import { siblingPath } from '../config/path.ts';
import { ConfigError, type ConfigProblem } from '../config/problem.ts';
import { pollRegularly, WatchedFiles } from '../lib/file-watch.ts';
import type { Logger } from '../telemetry/log.ts';
import { type Database, DatabaseError, openDatabase } from './database.ts';
import { type DatabaseSet, databaseSet, explainLocation, findLocation } from './find-location.ts';
import type { GeoLocation } from './location.ts';
import { LocationCache } from './location-cache.ts';
import type { Locator } from './locator.ts';

/** The longest way to write an address: IPv6 with IPv4 at its end. */
const MAX_ADDRESS_CHARS = 45;

/** Names of databases that begin with this are of npm packages: `npm:PACKAGE/FILE`. */
const PACKAGE_PREFIX = 'npm:';

/** Interval of checks for changed files. A changed file is read once it has been stable for that long. */
const CHECK_INTERVAL_MS = 5_000;

export interface LocatorOptions {
  /** The region file that names the databases; their paths are relative to it. */
  readonly file: string;
  /** `geo.databases`, most trusted first. */
  readonly databases: readonly string[];
  readonly log?: Pick<Logger, 'info' | 'warn'> | undefined;
  readonly checkIntervalMs?: number;
}

/** A database in use, and the file that it was read from. */
interface Opened {
  readonly name: string;
  readonly file: string;
  database: Database;
  readonly watched: WatchedFiles;
}

/** @throws {ConfigError} that names the key of each database that cannot be used, and what to do. */
export async function openLocator({
  file,
  databases,
  log,
  checkIntervalMs = CHECK_INTERVAL_MS,
}: LocatorOptions): Promise<Locator> {
  const problems: ConfigProblem[] = [];
  const opened: Opened[] = [];
  for (const [index, name] of databases.entries()) {
    try {
      const path = databasePath(file, name);
      const watched = new WatchedFiles([path]);
      watched.noteRead();
      opened.push({ name, file: path, database: await openDatabase(path, name), watched });
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      problems.push(problemAt(file, index, error));
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);

  const cache = new LocationCache<GeoLocation>();
  let set: DatabaseSet = databaseSet(opened.map(({ database }) => database));

  const poll = pollRegularly(check, checkIntervalMs);

  async function check(): Promise<void> {
    for (const one of opened) {
      if (!(await one.watched.hasChanged())) continue;
      try {
        one.database = await openDatabase(one.file, one.name);
        set = databaseSet(opened.map(({ database }) => database));
        cache.clear();
        log?.info({ database: one.name, type: one.database.info.type }, 'a new database is in use');
      } catch (error) {
        const { message, fix } = asDatabaseError(error);
        log?.warn({ database: one.name, detail: message, fix }, 'a new database is refused, the old one stays');
      }
    }
  }

  return {
    locate(address) {
      if (address.length > MAX_ADDRESS_CHARS) return undefined;
      const slot = LocationCache.slotOf(address);
      if (cache.has(slot, address)) return cache.get(slot);
      const place = findLocation(set, address);
      cache.set(slot, address, place);
      return place;
    },
    explain: (address) => explainLocation(set, address),
    get databases() {
      return opened.map(({ database }) => database.info);
    },
    close: () => poll.close(),
  };
}

/** Points at the line where there is one: the default database stands in no file. */
function problemAt(file: string, index: number, { message, fix }: DatabaseError): ConfigProblem {
  const yaml = readYaml(file);
  if ('source' in yaml) return yaml.source.problem(['geo', 'databases', index], message, fix);
  return problemWithout(file, `geo.databases[${index}]`, message, fix);
}

/**
 * @returns The path of a database's file.
 * @throws {DatabaseError} when its package is not installed.
 */
export function databasePath(file: string, name: string): string {
  if (!name.startsWith(PACKAGE_PREFIX)) return siblingPath(file, name);
  const specifier = name.slice(PACKAGE_PREFIX.length);
  try {
    return createRequire(import.meta.url).resolve(specifier);
  } catch {
    const [scope = '', rest = ''] = specifier.split('/');
    const pack = scope.startsWith('@') ? `${scope}/${rest}` : scope;
    throw new DatabaseError(
      'database_missing',
      `there is no ${specifier} among the npm packages`,
      `Run npm install ${pack}.`,
    );
  }
}

function asDatabaseError(error: unknown): { message: string; fix: string } {
  return error instanceof DatabaseError ? error : { message: String(error), fix: '' };
}

/**
 * `seawall token`: makes, lists and revokes the tokens that open the purge API.
 * @module
 */

import { loadRegion } from '../config/load.ts';
import { nearest } from '../config/nearest.ts';
import { quote } from '../config/problem.ts';
import type { RegionConfig } from '../config/schema.ts';
import { parseDuration } from '../config/units.ts';
import { commandEntry } from '../control/audit-outbox.ts';
import { openControlDatabase, openDataFolder } from '../control/data-folder.ts';
import { openStore } from '../control/store/open-store.ts';
import { SqliteTokens } from '../control/store/sqlite-tokens.ts';
import { ALL_SITES, DRAIN, isValid, JOB, SCOPE_KINDS, type Token, type TokenKind, Tokens } from '../control/tokens.ts';
import { wallNow } from '../lib/clock.ts';
import { actionOf } from './action.ts';
import { columns, defineCommand } from './command.ts';
import { Failure, UsageError } from './failure.ts';
import { print, say } from './output.ts';

const ACTIONS = ['create', 'list', 'revoke'] as const;

/** As in the journal, which notes whose purge it was. */
const NAME = /^[A-Za-z0-9][\w .@+-]{0,99}$/;

export const token = defineCommand({
  name: 'token',
  summary: 'Make, list and revoke tokens for purging.',
  about: `
Works on the store of the control node that a region file names: its data folder, on
the machine where it runs, or etcd; it may be running meanwhile. A token is shown once,
when it is made: the control node keeps a hash of it.

create  makes a token: for the named sites, or for --all-sites, with the named
        kinds (${SCOPE_KINDS.join(', ')}), by default all of them. With --all-sites,
        the kind ${DRAIN} lets it drain regions, beside or instead of purging; the kind
        ${JOB} lets it start and end jobs of its sites.
list    shows the tokens, newest first.
revoke  makes a token worthless from now on; ID is what list shows.`,
  operands: 'create|list|revoke FILE [ID]',
  options: {
    name: { type: 'text', value: 'NAME', help: 'Name of the holder, for the journal and the audit log.' },
    site: { type: 'list', value: 'NAME', help: 'A site that the token may purge. Can be repeated.' },
    'all-sites': { type: 'flag', help: 'Allow all sites, and purges of all sites at once.' },
    kind: { type: 'list', value: 'KIND', help: 'A kind of selector that the token may use. Can be repeated.' },
    read: { type: 'flag', help: 'Allow reading purges with their receipts, and jobs with their results.' },
    expires: { type: 'text', value: 'DURATION', help: 'Time until it expires, such as 90d. Default: never.' },
    json: { type: 'flag', help: 'Print JSON.' },
  },
  examples: [
    'create config/regions/eu.yaml --name deploy --site demo --kind url --kind tag --read',
    'create config/regions/eu.yaml --name admin --all-sites --read --expires 90d',
    'list config/regions/eu.yaml',
    'revoke config/regions/eu.yaml 0123456789abcdef',
  ],

  async run(options, [action, file, id, ...more]) {
    const wanted = actionOf(ACTIONS, action);
    if (file === undefined) throw new UsageError('no file is named', `Name the region file: token ${wanted} FILE.`);
    if (more[0] !== undefined || (id !== undefined && wanted !== 'revoke')) {
      throw new UsageError(`${quote(more[0] ?? id ?? '')} is not expected here`, '');
    }
    const region = loadRegion(file);
    return withTokens(region, (tokens) => {
      switch (wanted) {
        case 'create':
          return create(tokens, region, options);
        case 'list':
          return list(tokens, options.json);
        case 'revoke':
          return revoke(tokens, id);
      }
    });
  },
});

interface CreateOptions {
  readonly name: string | undefined;
  readonly site: readonly string[];
  readonly 'all-sites': boolean;
  readonly kind: readonly string[];
  readonly read: boolean;
  readonly expires: string | undefined;
  readonly json: boolean;
}

async function create(tokens: Tokens, region: RegionConfig, options: CreateOptions): Promise<number> {
  const { name, read, json } = options;
  if (name === undefined) throw new UsageError('--name is missing', 'Say who it is for: --name deploy.');
  if (!NAME.test(name)) {
    throw new UsageError(`--name: ${quote(name)} cannot be one`, 'Use up to 100 letters, digits, spaces and _.@+-');
  }
  const made = await tokens.create(
    {
      name,
      sites: sitesOf(options, region),
      kinds: kindsOf(options.kind),
      read,
      expires: options.expires === undefined ? undefined : wallNow() + lifetimeMs(options.expires),
    },
    (token) => commandEntry('create token', shown(token)),
  );
  if (json) print(JSON.stringify({ ...shown(made.token), token: made.text }));
  else {
    print(made.text);
    say(`${describe(made.token)}. This is the only time that it is shown.`);
  }
  return 0;
}

async function list(tokens: Tokens, json: boolean): Promise<number> {
  const all = await tokens.list();
  if (json) print(JSON.stringify(all.map(shown)));
  else if (all.length === 0) print('There are no tokens.');
  else for (const line of columns(all.map((one) => [one.id, describe(one)]))) print(line.trim());
  return 0;
}

async function revoke(tokens: Tokens, id: string | undefined): Promise<number> {
  if (id === undefined) throw new UsageError('no token is named', 'Name its id, as list shows it.');
  if (!(await tokens.revoke(id, commandEntry('revoke token', { id }))))
    throw new Failure(`there is no token ${quote(id)} that is not revoked yet`);
  print(`${id} is revoked`);
  return 0;
}

async function withTokens(region: RegionConfig, use: (tokens: Tokens) => Promise<number>): Promise<number> {
  const { control, file } = region;
  if (control === undefined) {
    throw new Failure(`${file} names no control node: name the file that does`);
  }
  if (control.journal !== undefined) {
    const store = await openStore(region, control);
    try {
      return await use(new Tokens(store.tokens, wallNow));
    } finally {
      await store.close();
    }
  }
  // The control node may have its journal open, but shares its tokens.
  const db = openControlDatabase(openDataFolder(file, control).database);
  try {
    return await use(new Tokens(new SqliteTokens(db), wallNow));
  } finally {
    db.close();
  }
}

function sitesOf({ site, 'all-sites': all }: CreateOptions, { sites }: RegionConfig): readonly string[] {
  if (all && site.length > 0) throw new UsageError('--site and --all-sites exclude each other', 'Give one of them.');
  if (all) return [ALL_SITES];
  const known = sites.map(({ name }) => name);
  if (site.length === 0) {
    throw new UsageError('no site is named', `Give --site (${known.join(', ')}) or --all-sites.`);
  }
  for (const name of site) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    const fix = near ? `Did you mean ${near}?` : `The sites are ${known.join(', ')}.`;
    throw new UsageError(`--site: there is no site ${quote(name)}`, fix);
  }
  return [...new Set(site)];
}

/** All that a token may be for. */
const TOKEN_KINDS: readonly TokenKind[] = [...SCOPE_KINDS, DRAIN, JOB];

function kindsOf(kinds: readonly string[]): readonly TokenKind[] {
  if (kinds.length === 0) return SCOPE_KINDS;
  for (const kind of kinds) {
    if ((TOKEN_KINDS as readonly string[]).includes(kind)) continue;
    const near = nearest(kind, TOKEN_KINDS);
    const fix = near ? `Did you mean ${near}?` : `The kinds are ${TOKEN_KINDS.join(', ')}.`;
    throw new UsageError(`--kind: there is no kind ${quote(kind)}`, fix);
  }
  return TOKEN_KINDS.filter((kind) => kinds.includes(kind));
}

function lifetimeMs(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new UsageError(`--expires: ${quote(text)} is not a duration`, 'Write it as 30m, 12h or 90d.');
}

/** Without internal fields. */
function shown({ id, name, sites, kinds, read, created, expires, revoked }: Token) {
  const time = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    id,
    name,
    sites,
    kinds,
    read,
    created: time(created),
    expires: time(expires),
    revoked: time(revoked),
  };
}

function describe(one: Token): string {
  const { name, sites, kinds, read, expires, revoked } = one;
  const parts = [
    `${name}:`,
    `${sites.includes(ALL_SITES) ? 'every site' : sites.join(', ')};`,
    kinds.join() === SCOPE_KINDS.join() ? 'everything' : kinds.join(', '),
    ...(read ? ['and receipts'] : []),
    ...(expires === undefined ? [] : [`until ${new Date(expires).toISOString()}`]),
  ];
  if (revoked !== undefined) parts.push('(revoked)');
  else if (!isValid(one, wallNow())) parts.push('(expired)');
  return parts.join(' ');
}

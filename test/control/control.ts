/**
 * A control node on a free port with a journal in a folder of the test, and
 * nodes that follow it by script.
 */

import { join } from 'node:path';
import type { Test } from 'tap';
import type { z } from 'zod';
import { type RegionConfig, regionSchema, type SiteConfig, siteSchema } from '../../config/schema.ts';
import { openControlDatabase } from '../../control/data-folder.ts';
import type { ProblemDocument } from '../../control/errors.ts';
import { type ControlNode, startControl } from '../../control/node.ts';
import type { Receipt } from '../../control/schemas.ts';
import { SqliteTokens } from '../../control/store/sqlite-tokens.ts';
import { type NewToken, newToken, SCOPE_KINDS } from '../../control/tokens.ts';
import { TIER_FIELD } from '../../http/fields/tier-field.ts';
import type { Term } from '../../journal/journal.ts';
import { jsonLines } from '../../journal/lines.ts';
import type { JournalMessage } from '../../journal/message.ts';
import {
  APPLIED_PATH,
  formatNodeField,
  JOURNAL_CONTENT_TYPE,
  journalTarget,
  type NodeAbout,
  type Registration,
} from '../../journal/wire.ts';
import { wallNow } from '../../lib/clock.ts';
import { createLog } from '../../telemetry/log.ts';

export const SECRET = 'not-for-anybodys-eyes';
export const log = createLog({ name: 'control', level: 'silent' });

type SiteInput = z.input<typeof siteSchema>;
type ControlInput = Partial<NonNullable<z.input<typeof regionSchema>['control']>>;

export function site(name: string, hosts: string[], more: Partial<SiteInput> = {}): SiteConfig {
  return siteSchema.parse({ name, hosts, origin: { servers: [{ url: 'http://127.0.0.1:1' }] }, ...more });
}

/** Two sites; what of the query counts differs. */
export const SITES = [
  site('shop', ['www.example.com', 'example.com', '*.shop.example']),
  site('blog', ['blog.example.com'], {
    key: { host: 'blog.example.com', query: { deny: ['utm_*'] }, sort_query: true },
  }),
];

export interface RegionParts {
  readonly region?: string;
  /** Control listener of each edge, or nothing. */
  readonly edges?: readonly (string | undefined)[];
  /** Tier address of each edge, where it is reached. */
  readonly tiers?: readonly string[];
  /** Names of the shields. */
  readonly shieldNames?: readonly string[];
  readonly sites?: readonly SiteConfig[];
  readonly control?: ControlInput;
  readonly file?: string;
}

export function regionOf(parts: RegionParts = {}): RegionConfig & { control: NonNullable<RegionConfig['control']> } {
  const {
    region = 'eu',
    edges = [undefined],
    tiers = [],
    shieldNames = [],
    sites = SITES,
    control = {},
    file = `${region}.yaml`,
  } = parts;
  const parsed = regionSchema.parse({
    region,
    tier_secret: SECRET,
    edges: edges.map((address, i) => ({
      name: `${region}-${i + 1}`,
      listen: '127.0.0.1:0',
      tier: tiers[i] ?? `127.0.0.1:${i + 1}`,
      ...(address !== undefined && { control: address }),
    })),
    shields: shieldNames.map((name, i) => ({ name, tier: `127.0.0.1:${100 + i}` })),
    control: { listen: '127.0.0.1:0', ...control },
    sites: [{ include: 'unused.yaml' }],
  });
  const { control: parsedControl } = parsed;
  if (parsedControl === undefined) throw new Error('a control node was asked for');
  return { ...parsed, control: parsedControl, file, sites, reachableShields: [] };
}

export interface Answer<Body = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface Control extends ControlNode {
  readonly url: string;
  readonly folder: string;
  /** @returns The text of a new token; by default one that may do everything. */
  token(scope?: Partial<NewToken>): string;
  revoke(text: string): void;
  /** POST /v1/purges; a body that is a string is sent as it is. */
  purge<Body = Receipt>(body: unknown, headers?: Record<string, string>): Promise<Answer<Body>>;
  get<Body>(path: string, token?: string): Promise<Answer<Body>>;
  /** POST without a body. */
  post<Body>(path: string, token: string): Promise<Answer<Body>>;
  /** A node that follows; it applies nothing by itself. */
  follow(name: string): Promise<ScriptedNode>;
  /** Opens the same folder again, after `close`. */
  restart(parts?: RegionParts): Promise<Control>;
}

export type Refusal = ProblemDocument;

/** @returns Status of the answer to a node that wants to follow the journal. */
export async function followStatus(url: string, name: string, registration: Registration = {}): Promise<number> {
  const headers = { [TIER_FIELD]: formatNodeField(name, SECRET) };
  const response = await fetch(`${url}${journalTarget({ identity: undefined, seq: 0 }, registration)}`, { headers });
  await response.body?.cancel();
  return response.status;
}

export async function startTestControl(t: Test, parts: RegionParts = {}): Promise<Control> {
  return startIn(t, t.testdir({}), parts);
}

async function startIn(t: Test, folder: string, parts: RegionParts): Promise<Control> {
  const region = regionOf({ file: join(folder, 'eu.yaml'), ...parts });
  const node = await startControl({ region, control: region.control, regions: [region], log });
  const nodes: ScriptedNode[] = [];
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    for (const one of nodes) one.leave();
    await node.close();
  };
  t.teardown(close);
  const url = `http://${node.address}`;
  /** @param use - What it does is written when it returns. */
  const tokens = (use: (tokens: SqliteTokens) => Promise<unknown>): void => {
    const db = openControlDatabase(join(folder, region.control.data, 'control.sqlite'));
    try {
      void use(new SqliteTokens(db));
    } finally {
      db.close();
    }
  };
  let usual: string | undefined;
  const token = (scope: Partial<NewToken> = {}): string => {
    const wanted = { name: 'test', sites: ['*'], kinds: SCOPE_KINDS, read: true, ...scope };
    const { stored, text } = newToken(wanted, wallNow());
    tokens((all) => all.add(stored));
    return text;
  };
  const usualToken = (): string => {
    usual ??= token();
    return usual;
  };

  return {
    ...node,
    url,
    folder: join(folder, region.control.data),
    close,
    token,
    revoke: (text) => tokens((all) => all.revoke(text.split('_')[1] ?? '', wallNow())),
    async purge(body, headers = {}) {
      return answer(
        await fetch(`${url}/v1/purges`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${usualToken()}`, ...headers },
          body: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      );
    },
    get: async (path, text = usualToken()) =>
      answer(await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${text}` } })),
    post: async (path, text) =>
      answer(await fetch(`${url}${path}`, { method: 'POST', headers: { authorization: `Bearer ${text}` } })),
    async follow(name) {
      const one = await scriptedNode(url, name);
      nodes.push(one);
      return one;
    },
    restart: (next = parts) => startIn(t, folder, next),
  };
}

async function answer<Body>(response: Response): Promise<Answer<Body>> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  return {
    status: response.status,
    headers: response.headers,
    body: (isJson ? JSON.parse(text) : text) as Body,
  };
}

export interface ScriptedNode {
  /** Identity of the journal's term. */
  readonly identity: string;
  /** Records that it has been sent, by their numbers. */
  readonly records: ReadonlyMap<number, { kind: string; selector: string; site: string; soft: boolean; who: string }>;
  /** Resolves when it has been sent this number. */
  received(seq: number): Promise<void>;
  /** Says that it has applied it. */
  applied(seq: number, identity?: string, name?: string, about?: NodeAbout): Promise<number>;
  leave(): void;
}

export async function scriptedNode(url: string, name: string): Promise<ScriptedNode> {
  const leaving = new AbortController();
  const headers = { [TIER_FIELD]: formatNodeField(name, SECRET) };
  const response = await fetch(`${url}${journalTarget({ identity: undefined, seq: 0 })}`, {
    headers,
    signal: leaving.signal,
  });
  if (!response.ok || response.body === null) throw new Error(`the journal answered ${response.status}`);
  const messages = jsonLines(response.body, 2 ** 20) as AsyncGenerator<JournalMessage>;
  const { value: hello } = await messages.next();
  if (hello?.type !== 'hello') throw new Error('no hello');
  const { identity } = hello.state.terms.at(-1) as Term;
  const records = new Map<number, { kind: string; selector: string; site: string; soft: boolean; who: string }>();
  const waiting = new Set<() => void>();
  const take = async (): Promise<void> => {
    for await (const message of messages) {
      if (message.type !== 'records') continue;
      for (const { seq, ...record } of message.records) records.set(seq, record);
      for (const look of waiting) look();
    }
  };
  take().catch(() => undefined); // it has left, or the control node has
  return {
    identity,
    records,
    received: (seq) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (records.has(seq)) resolve();
        };
        waiting.add(look);
        look();
      }),
    async applied(seq, of = identity, as = name, about = undefined) {
      const { status } = await fetch(`${url}${APPLIED_PATH}`, {
        method: 'POST',
        headers: { ...headers, 'content-type': JOURNAL_CONTENT_TYPE },
        body: `${JSON.stringify({ node: as, identity: of, seq, about })}\n`,
      });
      return status;
    },
    leave: () => leaving.abort(),
  };
}

/** Returns the error that a promise rejects with. */
export async function rejectionOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  );
}

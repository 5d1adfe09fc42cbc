/**
 * Number of stored responses that a purge would match: for dry runs, the only operation that scans the store.
 * @module
 */
import { Ledger, NOTHING_KNOWN, type Purgeable, type PurgeRecord } from '../cache/ledger.ts';
import { HttpError } from '../http/errors.ts';
import type { ServerExchange } from '../http/exchange.ts';
import { isKind } from '../journal/check.ts';
import { answerJson } from './json-answer.ts';
import type { NodeCore } from './node-core.ts';

const MAX_BODY_BYTES = 4 * 2 ** 20;

const MAX_SELECTORS = 1_000;

/** Returns the number of matching responses, in all threads of the node. */
export type CountMatches = (records: readonly PurgeRecord[]) => number | Promise<number>;

/** Answers a POST with `{"matches":N}`. Never rejects. */
export function answerMatches(count: CountMatches, exchange: ServerExchange): Promise<void> {
  return answerJson(exchange, MAX_BODY_BYTES, async (body) => ({ matches: await count(recordsOf(body)) }));
}

/** @throws {HttpError} `bad_request` unless it has what a purge may name. */
function recordsOf(body: unknown): readonly PurgeRecord[] {
  const selectors = isObject(body) ? body['selectors'] : undefined;
  if (!Array.isArray(selectors) || selectors.length > MAX_SELECTORS) throw new HttpError('bad_request', 'selectors');
  return selectors.map((one: unknown, index) => {
    const { site, kind, selector } = isObject(one) ? one : {};
    if (typeof site !== 'string' || !isKind(kind) || typeof selector !== 'string') {
      throw new HttpError('bad_request', `selector ${index}`);
    }
    return { site, kind, selector, seq: index + 1, soft: false };
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Asks a ledger of its own that knows these records only. */
export function countMatches(core: NodeCore, records: readonly PurgeRecord[]): number {
  const ledger = new Ledger({ leaseMs: Number.POSITIVE_INFINITY });
  const stamp = ledger.stampNow(NOTHING_KNOWN);
  ledger.apply(records);
  let matches = 0;
  for (const [key, variants] of core.store.entries()) {
    const named = purgeableOf(core, key);
    for (const stored of variants) {
      if (named !== undefined && ledger.check({ ...stored, stamp: { ...stamp } }, named) !== 'current') matches++;
    }
  }
  return matches;
}

/** @returns What a key's responses are called by; `undefined` when its site is served no more. */
function purgeableOf(core: NodeCore, key: string): Purgeable | undefined {
  const match = /^[a-z]+:\/\/([^/\n]+)([^\n]*)/.exec(key);
  if (match === null) return undefined; // a chunk: purges look at its head
  const [, authority = '', target = '/'] = match;
  const host = authority.replace(/:\d+$/, '');
  const site = core.findSite(host)?.site.name;
  return site === undefined ? undefined : { site, host, authority, target };
}

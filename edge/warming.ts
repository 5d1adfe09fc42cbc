/**
 * Step of a warm job at an edge: each URL is asked for as a visitor asks for it (own-request.ts), without an address
 * and cookies, through the owner of its key and the site's shield.
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Answer } from '../cache/answer.ts';
import type { CacheStatus } from '../cache/cache-status.ts';
import { HttpError } from '../http/errors.ts';
import { listMembers } from '../http/fields/headers.ts';
import { detailOf, type UrlResult } from '../jobs/wire.ts';
import { backoffMs } from '../lib/backoff.ts';
import { later, laterOf, monotonicNow, msBetween, msSince } from '../lib/clock.ts';
import type { StepRun } from '../tier/jobs/agent.ts';
import { ownRequest, type Redirected, readWhole } from './own-request.ts';
import { type EdgeContext, UNKNOWN_ADDRESS } from './visitor.ts';

/** Requests in flight of one step. */
const AT_ONCE = 16;

/** Times that a URL is asked for, where an error may pass. */
const MAX_ATTEMPTS = 3;
const PAUSES = { firstMs: 500, maxMs: 5_000, random: Math.random };

/** Time for one answer, its body included: one that never ends is not waited for. */
const ANSWER_TIMEOUT_MS = 120_000;

/** Block of addresses that requests of jobs count against: their share of connections is that of one visitor. */
const VISITOR = 'job';

/** Says what asks, to the origin. */
const USER_AGENT = 'seawall-job';

/**
 * Warms the URLs of a step, in their order, at its rate.
 *
 * @param context - As of now.
 */
export async function warmStep(
  context: () => EdgeContext,
  { task, signal, progressed }: StepRun,
): Promise<UrlResult[]> {
  const { urls, rate, accept_encoding: encodings } = task;
  const results = new Array<UrlResult>(urls.length);
  const intervalMs = 1_000 / rate;
  let at = monotonicNow();
  let next = 0;
  let done = 0;
  const turn = async (): Promise<void> => {
    const now = monotonicNow();
    at = laterOf(at, now);
    const waitMs = msBetween(now, at);
    at = later(at, intervalMs);
    if (waitMs > 0) await pause(waitMs, signal);
  };
  const work = async (): Promise<void> => {
    while (next < urls.length && !signal.aborted) {
      const place = next++;
      let result: UrlResult | undefined;
      for (const encoding of encodings) {
        result = worseOf(result, await warm(context, urls[place] as string, encoding, turn, signal));
      }
      results[place] = result as UrlResult;
      progressed(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, urls.length) }, work));
  return results;
}

/** Outcomes of a URL that is asked for in several ways: the first one of them that any has. */
const ORDER = ['failed', 'not_stored', 'stored', 'fresh'] as const;

function worseOf(one: UrlResult | undefined, other: UrlResult): UrlResult {
  if (one === undefined) return other;
  const worse = ORDER.indexOf(other.outcome) < ORDER.indexOf(one.outcome) ? other : one;
  return { ...worse, bytes: one.bytes + other.bytes, ms: one.ms + other.ms };
}

async function warm(
  context: () => EdgeContext,
  url: string,
  encoding: string,
  turn: () => Promise<void>,
  signal: AbortSignal,
): Promise<UrlResult> {
  const startedAt = monotonicNow();
  const timed = (result: Omit<UrlResult, 'ms'>): UrlResult => ({ ...result, ms: Math.round(msSince(startedAt)) });
  for (let attempts = 1; ; attempts += 1) {
    await turn();
    const result = await ask(context(), url, encoding, signal);
    if (result.outcome !== 'failed' || result.isFinal || attempts >= MAX_ATTEMPTS || signal.aborted) {
      const { isFinal: _, ...rest } = result;
      return timed(rest);
    }
    await pause(backoffMs(PAUSES, attempts - 1), signal);
  }
}

/** Result of one request. */
interface Asked extends Omit<UrlResult, 'ms'> {
  /** True if it would fail again. */
  readonly isFinal: boolean;
}

/** Asks for a URL once. Never rejects. */
async function ask(edge: EdgeContext, url: string, encoding: string, signal: AbortSignal): Promise<Asked> {
  const patience = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const ending = AbortSignal.any([signal, patience]);
  try {
    const answer = await answered(edge, url, encoding, ending);
    if ('redirect' in answer) {
      return { outcome: 'not_stored', status: answer.redirect, bytes: 0, detail: 'redirect', isFinal: true };
    }
    const bytes = answer.body === undefined ? 0 : await readWhole(answer.body, ending);
    return { ...outcomeOf(answer), bytes };
  } catch (error) {
    if (patience.aborted) return failed(0, 'it took too long', true);
    if (!(error instanceof HttpError)) return failed(0, (error as Error).message, false);
    return failed(error.status, error.reason ?? error.code, error.status < 500 && error.status !== 429);
  }
}

function failed(status: number, detail: string, isFinal: boolean): Asked {
  return { outcome: 'failed', status, bytes: 0, detail: detailOf(detail), isFinal };
}

/** @throws {HttpError} (rejects) */
function answered(edge: EdgeContext, url: string, encoding: string, signal: AbortSignal): Promise<Answer | Redirected> {
  const [, scheme = '', authority = '', rest = ''] = /^(https?):\/\/([^/?]*)(.*)$/i.exec(url) ?? [];
  const head = {
    method: 'GET',
    target: rest.startsWith('/') ? rest : `/${rest}`,
    headers: ['Host', authority, 'User-Agent', USER_AGENT, 'Accept', '*/*', 'Accept-Encoding', encoding],
    remoteAddress: UNKNOWN_ADDRESS,
    isTls: scheme.toLowerCase() === 'https',
    version: '1.1',
    localAuthority: undefined,
  } as const;
  return ownRequest(edge, head, { visitor: VISITOR, isBackground: true, signal });
}

/** Outcome of a request at the node that is the owner of its key: this one, or the one that it has asked. */
function outcomeOf({ head: { status }, status: own, above }: Answer): Omit<Asked, 'bytes'> {
  const isOwners = own.detail === 'not-hot' && above !== undefined;
  const cache = isOwners ? readMember(listMembers(above).at(-1) ?? '') : own;
  const detail = cache.detail ?? '';
  if (status >= 500 || status === 429) return failed(status, detail || `status ${status}`, false);
  const isRevalidated = cache.fwdStatus === 304 && detail === '';
  const isStored = cache.stored === true || isRevalidated || (cache.collapsed === true && detail === '');
  const outcome = cache.hit ? 'fresh' : isStored ? 'stored' : 'not_stored';
  return { outcome, status, detail, isFinal: true };
}

/** Reads a member of Cache-Status that a node of this network has written. */
function readMember(member: string): Pick<CacheStatus, 'hit' | 'stored' | 'collapsed' | 'fwdStatus'> & {
  readonly detail: string | undefined;
} {
  const parameters = new Map(
    member
      .split(';')
      .slice(1)
      .map((parameter): [string, string] => {
        const [key = '', value = ''] = parameter.split('=', 2);
        return [key.trim(), value];
      }),
  );
  const fwdStatus = parameters.get('fwd-status');
  return {
    hit: parameters.has('hit'),
    stored: parameters.has('stored'),
    collapsed: parameters.has('collapsed'),
    fwdStatus: fwdStatus === undefined ? undefined : Number(fwdStatus),
    detail: parameters.get('detail'),
  };
}

/** Never rejects. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false }).catch(() => undefined);
}

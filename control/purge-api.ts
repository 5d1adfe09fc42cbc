/**
 * Steps that all purge dialects share: token, limits, purge, receipt, audit log.
 * @module
 */
import { createHash } from 'node:crypto';
import type { RegionConfig } from '../config/schema.ts';
import { type MonotonicMs, monotonicNow } from '../lib/clock.ts';
import type { AuditEntry, AuditLog } from './audit.ts';
import { countAtNodes } from './dry-run.ts';
import { ApiError } from './errors.ts';
import type { Members } from './members.ts';
import type { ControlMetrics } from './metrics.ts';
import type { NodeQuestions } from './node-questions.ts';
import type { Progress } from './progress.ts';
import { checkCount, checkScope, type Named, selectorsOf } from './purge-request.ts';
import type { Purge, Purges } from './purges.ts';
import type { RateLimit } from './rate-limit.ts';
import {
  type DryRunAnswer,
  MAX_SELECTORS,
  type Page,
  type PurgeRequest,
  purgeRequestSchema,
  type Receipt,
  type Summary,
} from './schemas.ts';
import type { SiteDirectory } from './site-directory.ts';
import { ALL_SITES, maySite, type Token, type Tokens } from './tokens.ts';
import { validBody } from './validate.ts';

/** In which words a purge was asked for. */
export type Dialect = 'seawall' | 'cloudflare' | 'fastly';

/** Authenticated caller of the API. */
export interface Caller {
  readonly token: Token;
  readonly address: string;
  readonly dialect: Dialect;
}

export interface PurgeApiOptions {
  readonly purges: Purges;
  readonly progress: Progress;
  readonly members: Pick<Members, 'refresh'>;
  readonly tokens: Tokens;
  readonly callLimit: RateLimit;
  readonly selectorLimit: RateLimit;
  /** Rate limit of audit entries about wrong tokens, so that they cannot fill the audit log. */
  readonly refusalLimit: RateLimit;
  readonly questions: NodeQuestions;
  readonly audit: AuditLog;
  readonly metrics: ControlMetrics;
  /** As of now. */
  readonly regions: () => readonly RegionConfig[];
  readonly sites: () => SiteDirectory;
}

export type PurgeAnswer =
  | { readonly kind: 'receipt'; readonly receipt: Receipt; readonly repeated: boolean }
  | { readonly kind: 'dry_run'; readonly answer: DryRunAnswer };

/** Selectors of a call that are named in the audit log, and how much of each; the journal has them all. */
const AUDITED_SELECTORS = 10;
const AUDITED_CHARS = 200;

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

export class PurgeApi {
  readonly #options: PurgeApiOptions;

  constructor(options: PurgeApiOptions) {
    this.#options = options;
  }

  /**
   * Authenticates a caller. Runs before the body is read.
   *
   * @param text - The token as it was sent.
   * @throws {ApiError} `unauthorised`, `rate_limited`.
   */
  async authenticate(text: string | undefined, address: string, dialect: Dialect): Promise<Caller> {
    const { tokens } = this.#options;
    const token = text === undefined ? undefined : await tokens.find(text);
    if (token === undefined) {
      await this.#noteRefusal(address, dialect);
      throw new ApiError('unauthorised', {
        detail: text === undefined ? 'It is missing.' : 'It is unknown, expired or revoked.',
        headers: { 'www-authenticate': 'Bearer realm="seawall"' },
      });
    }
    const caller = { token, address, dialect };
    this.countCall(caller);
    return caller;
  }

  /** @returns A caller who has shown the token before, if it is still good. */
  async recognise(tokenId: string, address: string): Promise<Caller | undefined> {
    const token = await this.#options.tokens.known(tokenId);
    return token && { token, address, dialect: 'seawall' };
  }

  /** Counts a call of a caller who was recognised. @throws {ApiError} `rate_limited`. */
  countCall({ token, dialect }: Caller): void {
    const waitMs = this.#options.callLimit.take(token.id, 1);
    if (waitMs === 0) return;
    this.#options.metrics.refused('rate_limited', dialect);
    throw rateLimited('calls', waitMs);
  }

  /**
   * Purges what the body names, all of it or nothing.
   *
   * @param body - Parsed, but not looked at.
   * @param signal - Ends a wait.
   * @throws {ApiError}
   */
  async purge(caller: Caller, body: unknown, key: string | undefined, signal: AbortSignal): Promise<PurgeAnswer> {
    const startedAt = monotonicNow();
    let named: readonly Named[] = [];
    let soft = false;
    try {
      checkCount(body);
      const request = validBody(purgeRequestSchema, body);
      soft = request.soft;
      checkKey(key);
      named = selectorsOf(request, this.#options.sites());
      checkScope(caller.token, named);
      const answer = request.dry_run
        ? await this.#dryRun(caller, named)
        : await this.#purge(caller, request, named, key, startedAt, signal);
      if (answer.kind === 'dry_run') await this.#note(caller, 'ok', named, { dry_run: true, soft });
      return answer;
    } catch (error) {
      const code = error instanceof ApiError ? error.code : 'internal';
      await this.#note(caller, code, named, { soft });
      this.#options.metrics.refused(code, caller.dialect);
      throw error;
    }
  }

  /** @throws {ApiError} `forbidden`, `not_found`. */
  async receipt(caller: Caller, id: string): Promise<Receipt> {
    checkMayRead(caller.token);
    const purge = await this.#options.purges.find(id);
    if (purge === undefined || !mayRead(caller.token, purge)) {
      throw new ApiError('not_found', {
        detail: 'There is no purge of this id that this token may read, or the journal has forgotten it.',
      });
    }
    const selectors = (purge.records ?? []).map(({ seq, kind, selector, site }) => ({
      number: seq,
      kind,
      selector,
      site,
    }));
    return { ...(await this.#receiptOf(purge)), selectors };
  }

  /** @throws {ApiError} `forbidden` */
  async page(caller: Caller, cursor: number | undefined, limit: number): Promise<Page> {
    checkMayRead(caller.token);
    const { purges, next } = await this.#options.purges.list(cursor, limit, (purge) => mayRead(caller.token, purge));
    const isKnown = await this.#options.members.refresh();
    return {
      purges: purges.map((purge) => this.#summaryOf(purge, isKnown)),
      next: next === undefined ? null : String(next),
    };
  }

  async #purge(
    caller: Caller,
    request: PurgeRequest,
    named: readonly Named[],
    key: string | undefined,
    startedAt: MonotonicMs,
    signal: AbortSignal,
  ): Promise<PurgeAnswer> {
    const { token, dialect } = caller;
    const { purges, selectorLimit, progress, members, metrics, audit } = this.#options;
    const waitMs = selectorLimit.take(token.id, Math.min(named.length, MAX_SELECTORS));
    if (waitMs > 0) throw rateLimited('selectors', waitMs);

    const selectors = named.map(({ selector }) => selector);
    const { soft } = request;
    const entryOf = ({ id }: Purge, repeated: boolean) => this.#entry(caller, 'ok', named, { id, repeated, soft });
    const { purge, repeated } = await purges.make({
      selectors,
      soft,
      who: `${token.name} (${token.id})`,
      reason: request.reason,
      startedAt,
      // Keys of different tokens are different keys.
      once: key === undefined ? undefined : { key: `${token.id}/${key}`, body: digest(dialect, request) },
      note: (made) => audit.timed(entryOf(made, false)),
    });
    if (repeated) await audit.write(entryOf(purge, true));
    else audit.copy(audit.timed(entryOf(purge, false)));
    if (!repeated) metrics.purged(selectors, dialect);
    if (request.wait === 'applied') {
      await members.refresh(); // nodes that have registered with another control node are waited for
      await progress.whenComplete(purge.last, request.timeout_seconds * 1_000, signal);
    }
    return { kind: 'receipt', receipt: await this.#receiptOf(purge), repeated };
  }

  async #dryRun({ token }: Caller, named: readonly Named[]): Promise<PurgeAnswer> {
    const { selectorLimit, questions, regions } = this.#options;
    if (named.length > MAX_SELECTORS) {
      throw new ApiError('too_many_selectors', {
        detail: `Regions spell these URLs in ${named.length} ways; a dry run takes ${MAX_SELECTORS}.`,
      });
    }
    const waitMs = selectorLimit.take(token.id, named.length);
    if (waitMs > 0) throw rateLimited('selectors', waitMs);
    const selectors = named.map(({ selector }) => selector);
    const nodes = await countAtNodes(questions, selectors, regions());
    const kinds: Record<string, number> = {};
    for (const { kind } of selectors) kinds[kind] = (kinds[kind] ?? 0) + 1;
    return {
      kind: 'dry_run',
      answer: {
        dry_run: true,
        kinds,
        nodes: nodes.map(({ region, name, role, matches, problem }) => ({
          region,
          name,
          role,
          matches: matches ?? null,
          ...(problem !== undefined && { problem }),
        })),
      },
    };
  }

  async #receiptOf(purge: Purge): Promise<Receipt> {
    const { members, progress } = this.#options;
    const isKnown = await members.refresh();
    const nodes = progress.receipt(purge.last);
    return {
      ...this.#summaryOf(purge, isKnown),
      nodes: nodes.map(({ region, name, role, connected, applied, validates, afterMs }) => ({
        region,
        name,
        role,
        connected,
        applied,
        validates,
        after_ms: afterMs === undefined ? null : Math.round(afterMs * 1_000) / 1_000,
      })),
    };
  }

  /** @param isKnown - False if there may be nodes that have registered with another control node. */
  #summaryOf({ id, time, first, last, who, reason, soft, sites, kinds }: Purge, isKnown: boolean): Summary {
    const status = isKnown && this.#options.progress.isComplete(last) ? 'applied' : 'pending';
    return {
      id,
      status,
      time: new Date(time).toISOString(),
      first,
      last,
      who,
      reason,
      soft,
      sites: [...sites],
      kinds: kinds as Record<string, number>,
    };
  }

  #note(caller: Caller, result: string, named: readonly Named[], rest: Record<string, unknown>): Promise<void> {
    return this.#options.audit.write(this.#entry(caller, result, named, rest));
  }

  #entry(caller: Caller, result: string, named: readonly Named[], rest: Record<string, unknown>): AuditEntry {
    const { token, address, dialect } = caller;
    const selectors = named
      .slice(0, AUDITED_SELECTORS)
      .map(({ selector: { kind, selector, site } }) => ({ kind, selector: selector.slice(0, AUDITED_CHARS), site }));
    return {
      who: token.name,
      token: token.id,
      address,
      action: 'purge',
      dialect,
      result,
      count: named.length,
      selectors,
      ...rest,
    };
  }

  async #noteRefusal(address: string, dialect: Dialect): Promise<void> {
    const { refusalLimit, metrics } = this.#options;
    metrics.refused('unauthorised', dialect);
    if (refusalLimit.take('', 1) > 0) return;
    await this.#options.audit.write({ address, action: 'authenticate', dialect, result: 'unauthorised' });
  }
}

/** @throws {ApiError} `bad_idempotency_key` */
export function checkKey(key: string | undefined): void {
  if (key === undefined || IDEMPOTENCY_KEY.test(key)) return;
  const detail = key.length > 255 ? `it has ${key.length} characters` : 'it has other characters, or none';
  const fix = 'Send something like a UUID.';
  throw new ApiError('bad_idempotency_key', { errors: [{ header: 'idempotency-key', detail, fix }] });
}

function checkMayRead({ read }: Token): void {
  if (read) return;
  throw new ApiError('forbidden', { detail: 'This token may not read receipts; use one that was made with --read.' });
}

/** A purge of several sites tells something about each. */
function mayRead(token: Token, { sites }: Purge): boolean {
  return token.sites.includes(ALL_SITES) || sites.every((site) => maySite(token, site));
}

function rateLimited(what: 'calls' | 'selectors', waitMs: number): ApiError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  return new ApiError('rate_limited', {
    detail: `There were too many ${what}; the next will be taken in ${seconds} s.`,
    headers: { 'retry-after': String(seconds) },
  });
}

/** Hashes the parsed request, so that white space and the order of keys make no difference. */
function digest(dialect: Dialect, request: PurgeRequest): Uint8Array {
  return createHash('sha256')
    .update(`${dialect}\n${JSON.stringify(request)}`)
    .digest();
}

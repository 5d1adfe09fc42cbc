/**
 * Changes to the store by a response from upstream: it is stored, it updates a stored response, or it invalidates one.
 * @module
 */
import { withField } from '../http/fields/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import type { EpochMs } from '../lib/clock.ts';
import type { CacheRequest, Engine, Exchange } from './exchange.ts';
import type { Fill } from './fill.ts';
import { siblingKey } from './key.ts';
import { olderStamp } from './ledger.ts';
import { isForRequester } from './personal.ts';
import { NO_REQUEST_DIRECTIVES } from './policy/directives.ts';
import { invalidatedTargets, invalidates } from './policy/invalidation.ts';
import type { StoreRefusal } from './policy/refusals.ts';
import { mayStillServe, reuse } from './policy/reuse.ts';
import { isFailure } from './policy/status.ts';
import { agreesWithHead, selectedBy304, updatedHeaders } from './policy/validation.ts';
import { isCurrent, isHardPurged } from './purge-state.ts';
import { EvictedError, type Store } from './store/store.ts';
import { isComplete, type StoredResponse, sameRepresentation } from './stored-response.ts';
import { invalidatedGroups } from './tags.ts';
import { matchesVary } from './vary.ts';

/** Refusals of a 304 that speak of its own request's visitor: what is stored stays, as old as it is. */
export const OF_THE_VISITOR: ReadonlySet<StoreRefusal> = new Set<StoreRefusal>([
  'request-no-store',
  'authorization',
  'cookies',
  'set-cookie',
]);

/** Puts a response in the place of those that it is newer than. */
export function storeResponse(engine: Engine, request: CacheRequest, stored: StoredResponse): void {
  engine.options.store.exclusively(() => storeNow(engine, request, stored));
}

function storeNow(engine: Engine, request: CacheRequest, stored: StoredResponse): void {
  const { store } = engine.options;
  const { keyed, headers, site } = request;
  if (isHardPurged(engine, request, stored)) return; // purged while it was on its way
  const known = store.get(keyed.key);
  if (known.length === 0) {
    setVariants(engine, keyed.key, [stored]);
    return;
  }
  const variants = known.filter((other) => !isHardPurged(engine, request, other));
  const others = variants.filter((other) => !matchesVary(other.vary, headers));
  const same = variants.find((other) => !others.includes(other));
  const ofOne = same !== undefined && sameRepresentation(same, stored);
  if (same !== undefined && isFailure(stored.status) && mayStillServe(same, engine.options.now())) return;
  if (same !== undefined) {
    const [isSameCurrent, isStoredCurrent] = [isCurrent(engine, request, same), isCurrent(engine, request, stored)];
    if (isSameCurrent && !isStoredCurrent) return;
    // It may have been longer on its way than one that was asked for later. Of two that a purge lies between, the purge
    // says which is newer: the clock may have been set back.
    if (isSameCurrent === isStoredCurrent && !ofOne && same.responseTime > stored.responseTime) return;
  }
  if (same !== undefined && !ofOne && isBetterThanPart(same, stored, engine.options.now())) return;
  const isPart = ofOne && isPartial(stored) && same.generation === undefined && stored.body.id !== same.body.id;
  const merged = isPart ? joined(store, same, stored) : withEncodingsOf(same, stored);
  setVariants(engine, keyed.key, [merged, ...others].slice(0, site.max_variants));
}

/** Returns the response with the encodings that its body has by now: what a 304 has made new keeps its body. */
function withEncodingsOf(same: StoredResponse | undefined, stored: StoredResponse): StoredResponse {
  const encodings = same?.body.id === stored.body.id ? same.encodings : undefined;
  return stored.encodings === encodings ? stored : { ...stored, encodings };
}

function isPartial(stored: StoredResponse): boolean {
  return stored.generation === undefined && !isComplete(stored);
}

/** Joins a part to those that are stored; it stays alone if they have been evicted meanwhile. */
function joined(store: Store, known: StoredResponse, part: StoredResponse): StoredResponse {
  try {
    const headers = updatedHeaders(known.headers, part.headers);
    return { ...part, headers, body: store.combine(known.body, part.body) };
  } catch (error) {
    if (error instanceof EvictedError) return part;
    throw error;
  }
}

/** Puts responses in the place of those that are stored, in memory and on disk. */
export function setVariants({ options, disk }: Engine, key: string, variants: readonly StoredResponse[]): void {
  if (disk === undefined) {
    options.store.set(key, variants);
    return;
  }
  disk.replacing(key);
  try {
    options.store.set(key, variants);
  } finally {
    disk.replace(key, variants);
  }
}

/**
 * Returns whether the whole response is stored and fresh, and the part does not contradict it by failing to combine.
 */
function isBetterThanPart(whole: StoredResponse, part: StoredResponse, now: EpochMs): boolean {
  if (isComplete(part) || !isComplete(whole)) return false;
  return reuse(whole, NO_REQUEST_DIRECTIVES, now) === 'fresh' && selectedBy304(whole.headers, part.headers);
}

/** Takes out of the store what a 304 says must not be there any more. */
export function removeResponse(engine: Engine, { keyed: { key } }: CacheRequest, stored: StoredResponse): void {
  const { store } = engine.options;
  store.exclusively(() => {
    const others = store.get(key).filter(({ body }) => body.id !== stored.body.id);
    setVariants(engine, key, others);
  });
}

/**
 * RFC 9111, section 4.3.5. What memory has evicted is updated on disk: it is read from there first.
 *
 * @returns A promise only if it has to be read.
 */
export function updateByHead(
  engine: Engine,
  exchange: Exchange,
  head: ResponseHead,
  fill: Fill,
): Promise<void> | undefined {
  if (head.status !== 200) return undefined;
  const { options, disk } = engine;
  const { key } = exchange.request.keyed;
  const now = options.now();
  const update = (): void => options.store.exclusively(() => updateNow(engine, exchange, head, fill, now));
  const loading = options.store.has(key) ? undefined : disk?.lookup(key);
  if (loading !== undefined) return loading.then(update);
  update();
  return undefined;
}

/** @param now - Time at which the head has come. */
function updateNow(engine: Engine, { request }: Exchange, head: ResponseHead, fill: Fill, now: EpochMs): void {
  const { key } = request.keyed;
  const variants = engine.options.store.get(key).map((stored): StoredResponse => {
    if (stored.status !== 200 || !matchesVary(stored.vary, request.headers)) return stored;
    if (!isForRequester(request, stored) || !fill.decision.isForOthers(stored, head)) return stored;
    // The stored length counts, as a body that came in chunks has no field that says it.
    if (!agreesWithHead(withField(stored.headers, 'Content-Length', String(stored.length)), head.headers))
      return { ...stored, policy: { ...stored.policy, lifetimeMs: 0 } };
    const fresh = fill.decision.freshened(stored, head, now);
    const stamp = olderStamp(stored.stamp, fresh.stored.stamp);
    return fresh.refusal === undefined && stamp !== undefined ? { ...fresh.stored, stamp } : stored;
  });
  if (variants.length > 0) setVariants(engine, key, variants);
}

/** RFC 9111, section 4.4. Before the body comes, so that a POST's own answer may be stored after it. */
export function invalidateAfter(
  engine: Engine,
  request: CacheRequest,
  head: ResponseHead,
  except: Fill | undefined,
): void {
  const { method, keyed, rawTarget, site } = request;
  if (!invalidates(method, head.status)) return;
  // A URL parser writes some characters in another way than the visitor did, so the target has its own key.
  engine.invalidate(keyed.key, except);
  // It takes no host that ends in a number and is no address, such as 1.2.3.999: no Location is of such an origin.
  const base = URL.parse(keyed.prefix + rawTarget);
  if (base === null) return;
  for (const target of invalidatedTargets(method, head.status, base, head.headers)) {
    engine.invalidate(siblingKey(site, keyed, target), except);
  }
}

/**
 * RFC 9875, section 3: an unsafe request's answer that is no error may name
 * groups. Done by the node that asked the origin, before the answer is delivered.
 */
export async function invalidateGroups(
  engine: Engine,
  { method, keyed }: CacheRequest,
  head: ResponseHead,
): Promise<void> {
  if (!invalidates(method, head.status) || head.version !== undefined) return;
  const groups = invalidatedGroups(keyed.authority, head.headers);
  if (groups.length > 0) await engine.options.invalidateGroups?.(keyed, groups);
}

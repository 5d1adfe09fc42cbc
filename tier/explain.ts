/**
 * Explanations of requests, for a control node that asks for them: what this node would do with a request, and why. An
 * edge reads it as a visitor's (edge/explain.ts), a shield as one of an edge.
 * @module
 */
import { type Explanation, explainLookup, personalReason, type Question } from '../cache/explanation.ts';
import { cacheKey, type KeyedRequest } from '../cache/key.ts';
import { NO_PATH, rulePath } from '../config/rule-path.ts';
import { HTTP_ERRORS, HttpError, type HttpErrorCode } from '../http/errors.ts';
import type { ServerExchange } from '../http/exchange.ts';
import { isFieldLine } from '../http/fields/headers.ts';
import { parseRequestTarget, type Target } from '../http/request-target.ts';
import { answerJson } from './json-answer.ts';
import type { NodeCore, ServedSite } from './node-core.ts';

const NOTHING: Explanation = {
  refused: null,
  redirect: null,
  site: null,
  rule: null,
  path: null,
  key: null,
  personal: null,
  owners: [],
  shields: [],
  lookup: null,
};

/** Explains a request at this node. May reject with an `HttpError`: that it is refused with. */
export type Explain = (question: Question) => Promise<Explanation>;

const MAX_BODY_BYTES = 256 * 1024;

/** Answers a POST with an explanation as JSON. Never rejects. */
export function answerExplanation(explain: Explain, exchange: ServerExchange): Promise<void> {
  return answerJson(exchange, MAX_BODY_BYTES, (body) => explain(questionOf(body)).catch(refusedWith));
}

function refusedWith(error: unknown): Explanation {
  if (!(error instanceof HttpError)) throw error;
  return { ...NOTHING, refused: refusal(error.code) };
}

export function refusal(code: HttpErrorCode): NonNullable<Explanation['refused']> {
  const { status, message } = HTTP_ERRORS[code];
  return { code, status, meaning: message };
}

/** @throws {HttpError} `bad_request` unless it is a question. */
function questionOf(value: unknown): Question {
  const { method, scheme, authority, target, headers, address, fetch } = (
    typeof value === 'object' && value !== null ? value : {}
  ) as Readonly<Record<string, unknown>>;
  const isText = (one: unknown): one is string => typeof one === 'string';
  if (
    (method !== 'GET' && method !== 'HEAD') ||
    (scheme !== 'http' && scheme !== 'https') ||
    !isText(authority) ||
    !isText(target) ||
    !Array.isArray(headers) ||
    headers.length % 2 !== 0 ||
    !headers.every(isText) ||
    !areFieldLines(headers) ||
    (address !== undefined && !isText(address)) ||
    typeof fetch !== 'boolean'
  ) {
    throw new HttpError('bad_request', 'no question');
  }
  return { method, scheme, authority, target, headers, address, fetch };
}

function areFieldLines(headers: readonly string[]): boolean {
  return headers.every((name, at) => at % 2 !== 0 || isFieldLine(name, headers[at + 1] as string));
}

/** A request as the cache of this node gets it. */
export interface Explained {
  readonly method: string;
  readonly served: ServedSite;
  readonly target: Target;
  readonly keyed: KeyedRequest;
  readonly headers: readonly string[];
}

/** @param file - Region file of the node. */
export async function explainCached(
  core: NodeCore,
  file: string,
  { method, served, target, keyed, headers }: Explained,
): Promise<Explanation> {
  const { site, rules } = served;
  const path = rulePath(target.path);
  const request = { method, site, rules, path, keyed, headers };
  const rule = rules.ruleFor(path, 200);
  // Not before it is asked for: it loads the parser of configs, which threads do without.
  const { placeOfRule } = await import('../config/rule-place.ts');
  return {
    ...NOTHING,
    site: site.name,
    rule: { ...placeOfRule(file, site, rule), bypasses: rules.bypasses(path) },
    path: path === NO_PATH ? null : path,
    key: { url: keyed.prefix + keyed.target, more: keyed.suffix.split('\n').slice(1) },
    personal: personalReason(request),
    lookup: await explainLookup({ ...core.engine.options, disk: core.engine.disk }, request),
  };
}

/** Explains a request of an edge. @throws {HttpError} */
export async function explainForNodes(core: NodeCore, file: string, question: Question): Promise<Explanation> {
  const { method, scheme, authority, headers } = question;
  const all = ['Host', authority, ...headers];
  const target = parseRequestTarget(method, question.target, all);
  const served = core.siteOf(target.host);
  const keyed = cacheKey(served.site, scheme, target, all);
  return explainCached(core, file, { method, served, target, keyed, headers: all });
}

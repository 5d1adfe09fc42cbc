/**
 * Explanations of visitors' requests: an edge reads the request as it reads all (visitor.ts), and says where it would
 * go.
 * @module
 */

import { formatCacheStatus } from '../cache/cache-status.ts';
import { type Explanation, explainMember, type Question } from '../cache/explanation.ts';
import { rulePath } from '../config/rule-path.ts';
import { HttpError } from '../http/errors.ts';
import { withoutHop } from '../http/fields/forwarding.ts';
import { firstLine, listMembers } from '../http/fields/headers.ts';
import { explainCached, refusal } from '../tier/explain.ts';
import { ownRequest, readWhole } from './own-request.ts';
import { redirectFor } from './redirect.ts';
import { siteGeo } from './site-geo.ts';
import {
  asSent,
  type EdgeContext,
  isAdmitted,
  readHead,
  steerVisitor,
  UNKNOWN_ADDRESS,
  type VisitorHead,
} from './visitor.ts';

/** Time for the answer of a request that is made, its body included. */
const FETCH_TIMEOUT_MS = 8_000;

/** Name that requests which are made for an explanation are counted by. */
const VISITOR = 'explain';

/** @throws {HttpError} (rejects) that the request is refused with. */
export async function explainVisit(edge: EdgeContext, question: Question): Promise<Explanation> {
  const { core, region, peers } = edge;
  const { method, scheme, authority, target: text, headers: given, address, fetch } = question;
  const head = {
    method,
    target: text,
    headers: ['Host', authority, ...given],
    remoteAddress: address ?? UNKNOWN_ADDRESS,
    isTls: scheme === 'https',
    version: '1.1',
    localAuthority: undefined,
  } as const;
  const parsed = readHead(edge, head);
  const { served, target, headers } = parsed;
  const { site } = served;
  const sent = withoutHop(method, headers) ?? headers;
  const request = { method, served, target, ...asSent(parsed, sent, rulePath(target.path), false) };
  const { key } = request.keyed;
  const redirect = redirectFor(site, parsed.scheme, target) ?? steerVisitor(edge, parsed);
  const explanation = {
    ...(await explainCached(core, region.file, request)),
    refused: isAdmitted(parsed) ? null : refusal(siteGeo(site).refusalCode),
    redirect: (redirect && firstLine(redirect.headers, 'location')) ?? null,
    owners: peers.ownerNames(key),
    shields: peers.shields(site, key).map(({ name }) => name),
  };
  const isServed = explanation.refused === null && explanation.redirect === null;
  return fetch && isServed ? { ...explanation, fetched: await fetched(edge, head) } : explanation;
}

async function fetched(edge: EdgeContext, head: VisitorHead): Promise<NonNullable<Explanation['fetched']>> {
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  try {
    const answer = await ownRequest(edge, head, { visitor: VISITOR, isBackground: false, signal });
    if ('redirect' in answer) return { status: answer.redirect, members: [] };
    if (answer.body !== undefined) await readWhole(answer.body, signal);
    const own = formatCacheStatus(edge.core.name, answer.status);
    const members = [...(answer.above === undefined ? [] : listMembers(answer.above)), own];
    return { status: answer.head.status, members: members.map(explainMember) };
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    const text = formatCacheStatus(edge.core.name, { hit: false, detail: error.reason ?? error.code });
    return { status: error.status, members: [explainMember(text)] };
  }
}

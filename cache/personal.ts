/**
 * Which stored responses are for a request, as far as its sender goes.
 * @module
 */
import { fieldValue } from '../http/headers.ts';
import { isPersonal } from './credentials.ts';
import type { CacheRequest } from './exchange.ts';
import type { StoredHead } from './stored-response.ts';

/** Whether the response is declared shareable by its origin, or the request is not personal where its rule counts. */
export function isForRequester(
  { keyed, rules, path }: Pick<CacheRequest, 'keyed' | 'rules' | 'path'>,
  { status, headers, policy }: Pick<StoredHead, 'status' | 'headers' | 'policy'>,
): boolean {
  if (keyed.credentials === undefined || policy.declared) return true;
  const { cookies } = rules.responseRule(path, status, fieldValue(headers, 'content-type'));
  return !isPersonal(keyed.credentials, cookies);
}

/**
 * Selects stored responses that may answer a request, by the credentials of its sender.
 * @module
 */
import { fieldValue } from '../http/fields/headers.ts';
import { isPersonal } from './credentials.ts';
import type { CacheRequest } from './exchange.ts';
import type { StoredHead } from './stored-response.ts';

/** Returns whether the response is declared shareable by its origin, or the request is not personal under its rule. */
export function isForRequester(
  { keyed, rules, path }: Pick<CacheRequest, 'keyed' | 'rules' | 'path'>,
  { status, headers, policy }: Pick<StoredHead, 'status' | 'headers' | 'policy'>,
): boolean {
  if (keyed.credentials === undefined || policy.declared) return true;
  const { cookies } = rules.responseRule(path, status, fieldValue(headers, 'content-type'));
  return !isPersonal(keyed.credentials, cookies);
}

/**
 * The bytes of a request that has no body, and whether it can be sent by the
 * client that knows no others.
 * @module
 */
import { isFieldLine, isFieldValue, remembered } from './headers.ts';
import type { UpstreamRequest } from './message.ts';

/** Fields that speak of the connection or of a body: what becomes of them is for undici to say. */
const NOT_PLAIN: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

const kindOf = remembered((name): 'host' | 'plain' | 'other' => {
  const lower = name.toLowerCase();
  if (lower === 'host') return 'host';
  return isFieldLine(name, '') && !NOT_PLAIN.has(lower) ? 'plain' : 'other';
});

const TARGET = /^\/[\x21-\x7e\x80-\xff]*$/;

/** @returns The whole request as it is written, or `undefined` where it is not plain. */
export function plainHead({ method, target, headers, body, upgrade }: UpstreamRequest): string | undefined {
  if ((method !== 'GET' && method !== 'HEAD') || body !== undefined || upgrade !== undefined) return undefined;
  if (!TARGET.test(target)) return undefined;
  let text = `${method} ${target} HTTP/1.1\r\nConnection: keep-alive\r\n`;
  let hosts = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    const kind = kindOf(name);
    if (kind === 'other' || !isFieldValue(value)) return undefined;
    if (kind === 'host') hosts++;
    text += `${name}: ${value}\r\n`;
  }
  return hosts === 1 ? `${text}\r\n` : undefined;
}

/**
 * An answer as the access log is told of it.
 * @module
 */
import type { Access, AccessFacts, AccessRequest } from '../../../telemetry/access-log/entry.ts';

const FACTS: AccessFacts = {
  id: '0123456789abcdef0123456789abcdef',
  ...{ scheme: 'https', key: 'https://a.test/', length: undefined, headMs: 0.5, purge: undefined, keyHeaders: [] },
  storedHeaders: ['Cache-Control', 'max-age=60', 'Content-Type', 'text/html', 'Content-Length', '5'],
  cacheStatus: '"shield-1";fwd=uri-miss;stored, "eu-1";fwd=uri-miss;stored;ttl=60',
};

const REQUEST: AccessRequest = { method: 'GET', target: '/', headers: [], version: '1.1', connection: {} };

export function access(
  other: Partial<Omit<Access, 'request' | 'facts'>> = {},
  request: Partial<AccessRequest> = {},
  facts: Partial<AccessFacts> = {},
): Access {
  return {
    ...{ time: 0, ip: '192.0.2.7', host: 'a.test', status: 200, bytes: 5, seconds: 0.001, site: 'www' },
    result: 'uri-miss',
    ...other,
    request: { ...REQUEST, ...request },
    facts: { ...FACTS, ...facts },
  };
}

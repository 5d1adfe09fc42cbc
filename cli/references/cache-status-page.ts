/**
 * docs/cache-status.md: every reason and detail of Cache-Status, and every result.
 * @module
 */
import { DETAIL_MEANINGS, FORWARD_REASON_MEANINGS, STORE_REFUSAL_MEANINGS } from '../../cache/policy/refusals.ts';
import { table } from '../../lib/markdown.ts';
import { RESULT_MEANINGS } from '../../telemetry/results.ts';
import { codeBlock, NOTE, rowsOf } from './markdown.ts';

export function cacheStatusPage(): string {
  const rows = (meanings: Readonly<Record<string, string>>): string[][] => rowsOf(meanings, (meaning) => [meaning]);
  return [
    NOTE,
    '',
    '# Why it was not a hit, why it was not stored',
    '',
    'Cache-Status (RFC 9211) is in every answer, unless the site has `cache_status: false`. It has a member for each node',
    'that answered, the one nearest the origin first and the one that you asked last:',
    '',
    codeBlock(
      "$ curl -so /dev/null -D - http://127.0.0.1:8081/ | grep -i '^cache-status'\n" +
        'Cache-Status: "shield-1";fwd=uri-miss;ttl=59;stored, "eu-1";fwd=uri-miss;ttl=59;stored',
      'console',
    ),
    '',
    'Two members of one name are two workers of that edge: the one that took the request, and the one that owns the key.',
    '`hit`: it came from memory. `fwd`: it did not, and why. `stored`: it was kept. `collapsed`: it came with the answer to',
    'another request. `ttl`: seconds until it is stale, below zero when it is. `fwd-status`: what the next node or the',
    'origin answered, where that is not what you got. `detail`: below, or an [error code](errors.md).',
    '',
    'The same names are in the access log (`result`) and in the metrics: `seawall_requests_total{result}`,',
    '`seawall_store_refusals_total{reason}`.',
    '',
    '## `detail`: why it was not stored',
    '',
    'The RFC is 9111. [Which answers are shared](shared-answers.md) has the rules as a whole.',
    '',
    ...table(['detail', 'why, and what to do'], rows(STORE_REFUSAL_MEANINGS)),
    '',
    '## `fwd`: why it was not a hit',
    '',
    ...table(['fwd', 'why'], rows(FORWARD_REASON_MEANINGS)),
    '',
    '## Other details',
    '',
    ...table(['detail', 'meaning'], rows(DETAIL_MEANINGS)),
    '',
    '## `result`: how a request ended',
    '',
    'The field of the access log and the label of `seawall_requests_total`: one of these, a `fwd` (not `stale`, which is',
    '`revalidated` or `expired`), one of the other details, or an [error code](errors.md#responses-of-nodes).',
    '',
    ...table(['result', 'meaning'], rows(RESULT_MEANINGS)),
    '',
  ].join('\n');
}

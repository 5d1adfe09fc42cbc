/**
 * docs/errors.md: every error code, by the part of the program that it comes from.
 * @module
 */
import { API_ERRORS } from '../../control/errors.ts';
import { DATABASE_ERRORS } from '../../geo/database.ts';
import { HTTP_ERRORS } from '../../http/errors.ts';
import { CONNECTION_REFUSALS } from '../../http/listener/connection-refusals.ts';
import { UPSTREAM_CAUSES } from '../../http/upstream/errors.ts';
import { AUDIT_FINDINGS } from '../../journal/audit/verify.ts';
import { JOURNAL_ERRORS } from '../../journal/errors.ts';
import { table } from '../../lib/markdown.ts';
import { AUTHORITY_ERRORS } from '../../trust/authority/errors.ts';
import { PEER_REFUSALS } from '../../trust/refusals.ts';
import { EXIT_CODES } from '../failure.ts';
import { NOTE, rowsOf } from './markdown.ts';

export function errorsPage(): string {
  return [
    NOTE,
    '',
    '# Error codes',
    '',
    'Codes are stable, in snake_case, and the same in the answer, the log and the metrics. What to do about the frequent',
    'ones is in [troubleshooting](troubleshooting.md).',
    '',
    '## Responses of nodes',
    '',
    'The error page, `application/problem+json` for clients that ask for JSON, the `detail` of Cache-Status, the label',
    '`result` of `seawall_requests_total` and the field `code` of log lines. Visitors read the sentence; the cause is in',
    'the log line with the same request id.',
    '',
    ...table(
      ['code', 'status', 'what the visitor reads'],
      rowsOf(HTTP_ERRORS, ({ status, message }) => [String(status), message]),
    ),
    '',
    '### Causes of upstream errors',
    '',
    'The field `cause` of log lines, the label `cause` of `seawall_upstream_errors_total`, and the `detail` of',
    'Cache-Status between nodes. No visitor sees it: a page names the code and the id of the request.',
    '',
    ...table(
      ['cause', 'code', 'meaning'],
      rowsOf(UPSTREAM_CAUSES, ({ code, meaning }) => [`\`${code}\``, meaning]),
    ),
    '',
    '### Refused connections',
    '',
    'The label `reason` of `seawall_connections_refused_total`: connections of visitors that were closed without a',
    'response.',
    '',
    ...table(
      ['reason', 'meaning'],
      rowsOf<string>(CONNECTION_REFUSALS, (meaning) => [meaning]),
    ),
    '',
    '### Refused nodes',
    '',
    'The label `reason` of `seawall_node_refusals_total`, and the field `reason` of the log line `node refused`, in a',
    'network with [certificates](trust.md).',
    '',
    ...table(
      ['reason', 'meaning'],
      rowsOf<string>(PEER_REFUSALS, (meaning) => [meaning]),
    ),
    '',
    '## Responses of the control API',
    '',
    '`application/problem+json` (RFC 9457); `type` is `urn:seawall:problem:CODE`. The paths that speak the dialects of',
    'others answer in their form; the audit log and the metrics have the code of this table.',
    '',
    ...table(
      ['code', 'status', 'title'],
      rowsOf(API_ERRORS, ({ status, title }) => [String(status), title]),
    ),
    '',
    '## The journal',
    '',
    'In log lines of nodes and of the control node.',
    '',
    ...table(
      ['code', 'meaning'],
      rowsOf<string>(JOURNAL_ERRORS, (meaning) => [meaning]),
    ),
    '',
    '### Findings of the audit log',
    '',
    'What [`seawall audit verify`](audit.md) prints, with the number of the first entry.',
    '',
    ...table(
      ['code', 'meaning'],
      rowsOf<string>(AUDIT_FINDINGS, (meaning) => [meaning]),
    ),
    '',
    '## Config and command line',
    '',
    'Programs that use the code of Seawall see the code; the command prints one line for each problem, with its fix, and',
    'ends with the exit status.',
    '',
    ...table(
      ['code', 'exit status', 'meaning'],
      rowsOf(EXIT_CODES, ({ exit, meaning }) => [String(exit), meaning]),
    ),
    '',
    '### Databases of places',
    '',
    ...table(
      ['code', 'meaning'],
      rowsOf<string>(DATABASE_ERRORS, (meaning) => [meaning]),
    ),
    '',
    '### Certificates of nodes',
    '',
    ...table(
      ['code', 'meaning'],
      rowsOf<string>(AUTHORITY_ERRORS, (meaning) => [meaning]),
    ),
    '',
  ].join('\n');
}

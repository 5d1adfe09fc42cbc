/**
 * Reference pages made from tables in code: docs/cli.md, docs/errors.md
 * and docs/cache-status.md (`npm run docs:references`). test/cli/references.test.ts fails when a page and
 * its tables differ.
 * @module
 */
import { writeFileSync } from 'node:fs';
import { DETAIL_MEANINGS, FORWARD_REASON_MEANINGS, STORE_REFUSAL_MEANINGS } from '../cache/policy/refusals.ts';
import { API_ERRORS } from '../control/errors.ts';
import { HTTP_ERRORS } from '../http/errors.ts';
import { UPSTREAM_CAUSES } from '../http/upstream-errors.ts';
import { JOURNAL_ERRORS } from '../journal/errors.ts';
import { COMMANDS, HELP } from './commands.ts';
import { EXIT_CODES } from './failure.ts';

/** A page and the text that it should hold. */
export interface ReferencePage {
  readonly url: URL;
  readonly content: string;
}

/** @returns Every reference page as it should be. */
export function referencePages(): ReferencePage[] {
  return [
    { url: new URL('../docs/cli.md', import.meta.url), content: cliPage() },
    { url: new URL('../docs/errors.md', import.meta.url), content: errorsPage() },
    { url: new URL('../docs/cache-status.md', import.meta.url), content: cacheStatusPage() },
  ];
}

const NOTE = '<!-- Made from tables in code by `npm run docs:references`; change those, not this page. -->';

function cliPage(): string {
  const commands = COMMANDS.map(({ name, help }) => `## ${name}\n\n${codeBlock(help)}`);
  return [NOTE, '', '# Commands', '', codeBlock(HELP), '', commands.join('\n\n'), ''].join('\n');
}

function errorsPage(): string {
  const http = Object.entries(HTTP_ERRORS).map(([code, { status, message }]) => [
    `\`${code}\``,
    String(status),
    message,
  ]);
  const causes = Object.entries(UPSTREAM_CAUSES).map(([cause, { code, meaning }]) => [
    `\`${cause}\``,
    `\`${code}\``,
    meaning,
  ]);
  const api = Object.entries(API_ERRORS).map(([code, { status, title }]) => [`\`${code}\``, String(status), title]);
  const journal = Object.entries(JOURNAL_ERRORS).map(([code, message]) => [`\`${code}\``, message]);
  const exits = Object.entries(EXIT_CODES).map(([code, { exit, meaning }]) => [`\`${code}\``, String(exit), meaning]);
  return [
    NOTE,
    '',
    '# Error codes',
    '',
    'Codes are stable: the same code stands in the answer, the log and the metrics.',
    '',
    '## Answers of nodes',
    '',
    'The error page, `application/problem+json` for clients that ask for JSON, the `detail` of Cache-Status, the label',
    '`result` of `seawall_requests_total` and the field `code` of log lines. Visitors read the sentence; the cause is in',
    'the log line with the same request id.',
    '',
    ...table(['code', 'status', 'what the visitor reads'], http),
    '',
    '### Causes of upstream errors',
    '',
    'The field `cause` of log lines, the label `cause` of `seawall_upstream_errors_total`, and the `detail` of',
    'Cache-Status between nodes. No visitor sees it: a page names the code and the id of the request.',
    '',
    ...table(['cause', 'code', 'meaning'], causes),
    '',
    '## Answers of the control API',
    '',
    '`application/problem+json` (RFC 9457); `type` is `urn:seawall:problem:CODE`.',
    '',
    ...table(['code', 'status', 'title'], api),
    '',
    '## The journal',
    '',
    'In log lines of nodes and of the control node.',
    '',
    ...table(['code', 'meaning'], journal),
    '',
    '## The command line',
    '',
    ...table(['code', 'exit status', 'meaning'], exits),
    '',
  ].join('\n');
}

function cacheStatusPage(): string {
  const rows = (meanings: Readonly<Record<string, string>>): string[][] =>
    Object.entries(meanings).map(([name, meaning]) => [`\`${name}\``, meaning]);
  return [
    NOTE,
    '',
    '# Why it was not a hit, why it was not stored',
    '',
    'Cache-Status (RFC 9211) is in every answer, unless the site has `cache_status: false`. It has a member for each node',
    'that answered, the one nearest the origin first and the one that you asked last:',
    '',
    codeBlock(
      "curl -so /dev/null -D - http://127.0.0.1:8080/ | grep -i '^cache-status'\n" +
        'Cache-Status: "shield-1";fwd=uri-miss;ttl=59;stored, "eu-1";fwd=uri-miss;ttl=59;stored',
    ),
    '',
    'Two members of one name are two workers of that edge: the one that took the request, and the one that owns the key.',
    '`hit`: it came from memory. `fwd`: it did not, and why. `stored`: it was kept. `collapsed`: it came with the answer to',
    'another request. `ttl`: seconds until it is stale, below zero when it is. `fwd-status`: what the next node or the',
    'origin answered, where that is not what you got. `detail`: below, or an [error code](errors.md).',
    '',
    'The same names are in the access log (`result`) and in the metrics: `seawall_requests_total{result}`,',
    '`seawall_store_refusals_total{reason}`. There `fwd=stale` is `revalidated` (the next node said 304) or `expired`.',
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
  ].join('\n');
}

function codeBlock(text: string): string {
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\``;
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [columns, columns.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escapeCell).join(' | ')} |`);
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}

if (import.meta.main) {
  for (const { url, content } of referencePages()) writeFileSync(url, content);
}

/**
 * docs/troubleshooting.md quotes what the program says: codes, details, causes
 * and log lines that it names have to exist, and each refusal and cause that
 * an operator can act on has to be in it.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { DETAIL_MEANINGS, FORWARD_REASON_MEANINGS, STORE_REFUSAL_MEANINGS } from '../../cache/policy/refusals.ts';
import { HTTP_ERRORS } from '../../http/errors.ts';
import { UPSTREAM_CAUSES } from '../../http/upstream/errors.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/troubleshooting.md'), 'utf8');
const rows = page
  .replaceAll('\n  ', ' ')
  .split('\n')
  .filter((line) => line.startsWith('- '));
const source = globSync('{cache,cli,config,control,edge,geo,http,journal,lib,origin-shield,telemetry,tier}/**/*.ts', {
  cwd: ROOT,
})
  .map((file) => readFileSync(join(ROOT, file), 'utf8'))
  .join('\n');

function named(pattern: RegExp): string[] {
  return rows.flatMap((row) => [...row.matchAll(pattern)].map(([, name = '']) => name));
}

test('log lines and messages in quotation marks are in the source', async (t) => {
  const quoted = named(/"([^"]+)"/g).filter((text) => text.includes(' '));
  t.ok(quoted.length > 5, 'some were found');
  t.strictSame(
    quoted.filter((text) => !source.includes(text)),
    [],
  );
});

test('documented codes, details, reasons and causes exist', async (t) => {
  const codes = named(/\b[45]\d\d `(\w+)`/g);
  t.ok(codes.length > 15, 'codes were found');
  t.strictSame(
    codes.filter((name) => !Object.hasOwn(HTTP_ERRORS, name)),
    [],
  );
  const details = { ...STORE_REFUSAL_MEANINGS, ...DETAIL_MEANINGS };
  t.strictSame(
    named(/\bdetail=([\w-]+)/g).filter((name) => !Object.hasOwn(details, name)),
    [],
  );
  t.strictSame(
    named(/\bfwd=([\w-]+)/g).filter((name) => !Object.hasOwn(FORWARD_REASON_MEANINGS, name)),
    [],
  );
  t.strictSame(
    named(/\bcause `(\w+)`/g).filter((name) => !Object.hasOwn(UPSTREAM_CAUSES, name)),
    [],
  );
});

test('config keys that a fix names exist', async (t) => {
  const known = readFileSync(join(ROOT, 'docs/config.md'), 'utf8');
  const keys = rows.flatMap((row) => [
    ...(row.split('; fix: ').at(-1) ?? '').matchAll(/`([a-z]+(?:[._][a-z]+)+)(?::|`)/g),
  ]);
  t.ok(keys.length > 10, 'some were found');
  t.strictSame(
    keys.map(([, key = '']) => key).filter((key) => !known.includes(`\`${key.split('.').at(-1)}\``)),
    [],
  );
});

/** Refusals that are no reason to change anything. */
const QUIET = ['method', 'rule-never', 'status', 'partial', 'incomplete', 'request-no-store'];

test('every other refusal to store is on the page', async (t) => {
  const listed = new Set([...QUIET, ...named(/\bdetail=([\w-]+)/g)]);
  t.strictSame(
    Object.keys(STORE_REFUSAL_MEANINGS).filter((name) => !listed.has(name)),
    [],
  );
});

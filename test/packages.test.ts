/** Requirements of the packages, against those in the README. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

const ROOT = join(import.meta.dirname, '..');

/** The oldest Node with which `npm ci` is promised to work. */
const OLDEST = [20, 19, 0] as const;

type Version = readonly number[];

function atLeast(version: Version, least: Version): boolean {
  const at = version.findIndex((part, i) => part !== least[i]);
  return at === -1 || (version[at] ?? 0) > (least[at] ?? 0);
}

/**
 * Returns whether a range of `engines` includes a version; in the forms that packages use: `>=20`, `^20.17.0 || >=22`,
 * `20 || >=22`, `18.x`.
 */
function takes(range: string, version: Version): boolean {
  return range.split('||').some((alternative) =>
    alternative
      .trim()
      .replaceAll(/(>=|<=|>|<|\^|~)\s+/g, '$1')
      .split(/\s+/)
      .every((comparator) => {
        const [, operator = '', text = ''] = /^(>=|<=|<|>|\^|~|=)?v?(\*|\d.*)?$/.exec(comparator) ?? [];
        if (text === '*' || text === '') return comparator === '*' || comparator === '';
        const wanted = text.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : 0));
        const least = [wanted[0] ?? 0, wanted[1] ?? 0, wanted[2] ?? 0];
        if (operator === '>=' || operator === '>') return atLeast(version, least);
        if (operator === '<' || operator === '<=') return !atLeast(version, least);
        return version[0] === least[0] && atLeast(version, least);
      }),
  );
}

test('every package accepts the oldest Node that the README promises: npm ci prints no warning', async (t) => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const packages = Object.entries(lock.packages as Record<string, { engines?: { node?: string } | string[] }>);
  t.ok(packages.length > 100);
  const refusing = packages.flatMap(([name, { engines }]) => {
    const range = Array.isArray(engines) ? undefined : engines?.node;
    return range === undefined || takes(range, OLDEST) ? [] : [`${name}: ${range}`];
  });
  t.same(refusing, []);
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  t.match(readme, `Node ${OLDEST[0]}.${OLDEST[1]} or newer`);
});

for (const { range, version, taken } of [
  { range: '>=22', version: [20, 19, 0], taken: false },
  { range: '>= 18', version: [20, 19, 0], taken: true },
  { range: '^20.17.0 || >=22.9.0', version: [20, 19, 0], taken: true },
  { range: '^20.17.0 || >=22.9.0', version: [20, 16, 0], taken: false },
  { range: '20 || >=22', version: [21, 0, 0], taken: false },
  { range: '>=8 <16', version: [20, 19, 0], taken: false },
  { range: '*', version: [20, 19, 0], taken: true },
]) {
  test(`${range} ${taken ? 'takes' : 'refuses'} ${version.join('.')}`, async (t) => {
    t.equal(takes(range, version), taken);
  });
}

import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { parse } from 'yaml';
import { siteSchema } from '../../config/schema.ts';
import { accountOfDisk, accountOfTiers, SITE_FILE } from './way.ts';

const WHOLE = 'shield; fwd=uri-miss; stored, owner; fwd=uri-miss, entry; fwd=uri-miss';

function seen(...statuses: readonly (string | null)[]): Parameters<typeof accountOfTiers>[0] {
  return statuses.map((cacheStatus) => ({ path: '/test/x', cacheStatus }));
}

test('the tested site is valid in any region', async (t) => {
  t.ok(siteSchema.safeParse(parse(readFileSync(SITE_FILE, 'utf8'))).success);
});

for (const { rule, responses, says, isTheWay } of [
  { rule: 'through all', responses: [WHOLE, WHOLE], says: /^2 of 2 .*100\.0 %.* 2 name the shield/, isTheWay: true },
  { rule: 'a hit at the owner', responses: ['owner; hit, entry; fwd=miss'], says: /^1 of 1 .* 0 name/, isTheWay: true },
  { rule: 'named by a string', responses: ['"owner"; hit, "entry"'], says: /^1 of 1 /, isTheWay: true },
  { rule: 'past the owner', responses: [WHOLE, 'shield; hit, entry'], says: /^1 of 2 .* 2 name/, isTheWay: false },
  { rule: 'a name in a parameter', responses: ['entry; detail=owner'], says: /^0 of 1 /, isTheWay: false },
  { rule: 'no Cache-Status', responses: [null], says: /^0 of 1 /, isTheWay: false },
  { rule: 'no response', responses: [], says: /^0 of 0 /, isTheWay: false },
]) {
  test(`the path of a response: ${rule}`, async (t) => {
    const { lines, problems } = accountOfTiers(seen(...responses));
    t.match(lines[0], says);
    t.equal(problems.length === 0, isTheWay);
  });
}

const FROM_DISK = '"edge";hit;ttl=9;detail=disk';

for (const { rule, responses, says, isTheWay } of [
  {
    rule: 'from disk',
    responses: [FROM_DISK, '"edge";fwd=uri-miss;stored', null],
    says: /^1 of 1 .* 3 times/,
    isTheWay: true,
  },
  {
    rule: 'stale ones do not count',
    responses: [FROM_DISK, '"edge";hit;ttl=-1;detail=stale'],
    says: /^1 of 1 /,
    isTheWay: true,
  },
  { rule: 'from memory', responses: [FROM_DISK, '"edge";hit;ttl=9'], says: /^1 of 2 /, isTheWay: false },
  { rule: 'no hit', responses: ['"edge";fwd=uri-miss'], says: /^0 of 0 /, isTheWay: false },
]) {
  test(`hits of a node with a disk: ${rule}`, async (t) => {
    const { lines, problems } = accountOfDisk(seen(...responses), 3);
    t.match(lines[0], says);
    t.equal(problems.length === 0, isTheWay);
  });
}

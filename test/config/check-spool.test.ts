import { join } from 'node:path';
import { test } from 'tap';
import { loadRegion } from '../../config/load.ts';
import { formatProblem } from '../../config/problem.ts';
import { HEAD, problemsOf, SITES } from './refusal.ts';

const EDGE = 'edges: [{ name: fra-1, listen: "127.0.0.1:80", tier: "127.0.0.1:81" }]\n';
const SHIELD = 'shields: [{ name: fra-s, tier: "127.0.0.1:81" }]\n';
const PLACE = /^fra\.yaml:4:\d+ spool\.folder: /;

for (const { what, nodes = EDGE, spool, says } of [
  { what: 'the default', spool: '{}' },
  { what: 'a folder beside the file', spool: '{ folder: here }' },
  {
    what: 'a folder that is not there',
    spool: '{ folder: nope }',
    says: /nope does not exist\. Fix: Make it a folder/,
  },
  { what: 'a file', spool: '{ folder: fra.yaml }', says: /fra\.yaml is not a folder\. Fix: .*spool\.file: 0B/ },
  { what: 'a folder in a file', spool: '{ folder: fra.yaml/in }', says: /cannot be written to \(ENOTDIR\)/ },
  { what: 'a folder that is not there and not used', spool: '{ folder: nope, file: 0B }' },
  { what: 'a region without edges here', nodes: SHIELD, spool: '{ folder: nope }' },
]) {
  test(`spool.folder: ${what}`, async (t) => {
    const folder = t.testdir({ 'fra.yaml': `${HEAD}${nodes}spool: ${spool}\n${SITES}`, here: {} });
    const problems = problemsOf(() => loadRegion(join(folder, 'fra.yaml')));
    const lines = problems.map((problem) => formatProblem(problem).replace(`${folder}/`, ''));
    t.equal(lines.length, says === undefined ? 0 : 1, lines.join());
    if (says === undefined) return;
    t.match(lines[0], says);
    t.match(lines[0], PLACE);
  });
}

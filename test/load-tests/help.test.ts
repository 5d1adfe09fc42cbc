/** Each command that measures says what it does before it does it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

const ROOT = join(import.meta.dirname, '../..');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

const MEASURES = /^(?:bench|chaos|herd|storm|model|conformance)(?:$|:)/;

for (const [name, script] of Object.entries(scripts).filter(([name]) => MEASURES.test(name))) {
  test(`npm run ${name} -- --help prints its options`, async (t) => {
    const args = script.split(' ').slice(1);
    const { status, stdout } = spawnSync(process.execPath, [...args, '--help'], { cwd: ROOT, encoding: 'utf8' });
    t.equal(status, 0);
    t.match(stdout, /^usage: /i);
    t.match(stdout, '--help');
  });
}

test('commands that the README names exist', async (t) => {
  const named = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/npm run ([\w:-]+)/g)];
  t.same(
    named.map(([, name = '']) => name).filter((name) => scripts[name] === undefined),
    [],
  );
});

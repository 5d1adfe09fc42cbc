import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { NODE_FLAGS } from '../../cli/node-flags.ts';

test('cli/seawall starts Node with the same flags as workers and the demo network', async (t) => {
  const script = readFileSync(join(import.meta.dirname, '../../cli/seawall'), 'utf8');
  const flags = [...script.matchAll(/^ +(--\S+) \\$/gm)].map(([, flag]) => flag);
  t.same(flags, NODE_FLAGS);
});

test('cli/seawall and the demo network name the compile cache that threads use, before the first file is read', async (t) => {
  const [script, child, threads] = ['seawall', 'demo/child.ts', 'compile-cache.ts'].map((file) =>
    readFileSync(join(import.meta.dirname, '../../cli', file), 'utf8'),
  );
  t.match(threads, "join(import.meta.dirname, '../node_modules/.cache/seawall')");
  t.match(script, `export NODE_COMPILE_CACHE="\${NODE_COMPILE_CACHE:-$cli/../node_modules/.cache/seawall}"`);
  t.match(child, "join(import.meta.dirname, '../../node_modules/.cache/seawall')");
});

test('npm scripts that run nodes are replaced by Node', async (t) => {
  const { scripts, bin } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
  t.same([scripts.seawall, bin.seawall], ['exec cli/seawall', 'dist/cli/seawall']);
  t.match(scripts.start, /^exec node --disable-sigusr1 /);
});

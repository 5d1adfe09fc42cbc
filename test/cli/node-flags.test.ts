import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { NODE_FLAGS } from '../../cli/node-flags.ts';
import { startCommand } from './process.ts';

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

test('a node that is killed has left what it compiled to the next one', async (t) => {
  const cache = mkdtempSync(join(tmpdir(), 'seawall-compiled-'));
  t.teardown(() => rmSync(cache, { recursive: true, force: true }));
  const args = ['serve', '--origin', 'http://127.0.0.1:9', '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0'];
  const { kill, exitCode } = await startCommand(t, 'cli/seawall', args, { NODE_COMPILE_CACHE: cache });
  kill('SIGKILL');
  await exitCode;
  const modules = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  t.ok(modules.length > 100, `${modules.length} modules`);
});

test('npm scripts that run nodes are replaced by Node', async (t) => {
  const { scripts, bin } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
  t.same([scripts.seawall, bin.seawall], ['exec cli/seawall', 'dist/cli/seawall']);
  t.match(scripts.start, /^exec node --disable-sigusr1 /);
});

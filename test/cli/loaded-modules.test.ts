/**
 * Modules that each thread of a node loads when it starts: they stay in its memory for good.
 */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'tap';

const ROOT = join(import.meta.dirname, '../..');

/** Modules and packages that are loaded with a module: what it imports, but not by `import(…)`. */
function loadedWith(entry: string): ReadonlySet<string> {
  const loaded = new Set([entry]);
  for (const file of loaded) {
    if (!file.endsWith('.ts')) continue;
    const source = stripTypeScriptTypes(readFileSync(join(ROOT, file), 'utf8'));
    for (const [, path = ''] of source.matchAll(/^(?:import|export)\b[^;]*?'([^']+)';/gm)) {
      if (!path.startsWith('node:'))
        loaded.add(path.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(file), path)) : path);
    }
  }
  return loaded;
}

for (const { thread, entry, without } of [
  {
    thread: 'a worker of an edge, which gets its config read and its purges relayed',
    entry: 'cli/workers/worker.ts',
    without: ['zod', 'undici', 'fastify', 'config/schema.ts', 'config/load.ts'],
  },
  {
    thread: 'the thread that supervises workers, which serves no visitors',
    entry: 'cli/workers/supervisor.ts',
    without: ['edge/node.ts', 'cache/engine.ts', 'tier/node-core.ts', 'undici', 'fastify'],
  },
  {
    thread: 'a process that runs nodes',
    entry: 'cli/start.ts',
    without: ['asn1js', 'undici', 'fastify', 'edge/node.ts', 'cli/ca.ts', 'cli/purge.ts'],
  },
  { thread: 'any command', entry: 'cli/main.ts', without: ['zod', 'cli/commands.ts'] },
]) {
  test(`${thread} does without what it does not need`, async (t) => {
    const loaded = loadedWith(entry);
    t.ok(loaded.size > 5, 'imports are found');
    t.same(
      without.filter((module) => loaded.has(module)),
      [],
    );
  });
}

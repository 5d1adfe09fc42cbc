/** A process that is killed at any moment leaves records that are right, and nothing that it had removed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'tap';
import { openStore, temporary, versionOf } from './stores.ts';

const CHILD = join(import.meta.dirname, 'crash-child.ts');

/** Kills are after so many lines that the process has printed, and then so many milliseconds. */
const KILLS = Array.from({ length: 12 }, (_, i) => ({ lines: 2 + ((i * 5) % 23), ms: (i * 3) % 8 }));

test('killed at any moment, again and again: no wrong byte, nothing removed or replaced comes back', async (t) => {
  const path = temporary(t);
  let version = 0;
  let found = 0;
  /** Versions that may be there; those of the work that was not confirmed come to the ones before it. */
  const allowed = new Map<string, Set<number>>();
  for (const { lines, ms } of KILLS) {
    const child = spawn(process.execPath, [CHILD, path, String(version)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let seen = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const report = JSON.parse(line) as { version?: number; doing?: [string, number][]; done?: [string, number][] };
      for (const [key, one] of report.doing ?? []) {
        version = Math.max(version, one);
        allowed.set(key, new Set([...(allowed.get(key) ?? [0]), one]));
      }
      const last = new Map(report.done);
      for (const [key, one] of last) allowed.set(key, new Set([one, 0]));
      version = Math.max(version, report.version ?? 0);
      if (++seen === lines) setTimeout(() => child.kill('SIGKILL'), ms);
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    t.equal(child.signalCode, 'SIGKILL');
    version += 100; // what it did and did not report has numbers that are not used again
    const open = await openStore(path, { segments: 6 });
    for (let i = 0; i < 50; i++) {
      const key = `k${i}`;
      const content = await open.store.read(key);
      if (content === undefined) continue;
      found++;
      const got = versionOf(key, content);
      const isKnown = allowed.get(key)?.has(got) === true;
      const isUnreported = got > Math.max(0, ...(allowed.get(key) ?? []));
      if (!isKnown && !isUnreported) t.fail(`${key}: ${got}, not ${[...(allowed.get(key) ?? [])]}`);
      allowed.set(key, new Set([got]));
    }
    await open.close();
  }
  t.ok(found > 100, `${found} records were read`);
});

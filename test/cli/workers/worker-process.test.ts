import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { startOutcome } from '../../../cli/workers/worker-process.ts';

const PROGRAM = join(import.meta.dirname, 'worker-messages.ts');

for (const { kinds, outcome } of [
  { kinds: ['ready'], outcome: 'ready' },
  { kinds: ['certificate', 'ready'], outcome: 'ready' },
  { kinds: ['certificate', 'certificate', 'ready', 'alive'], outcome: 'ready' },
  { kinds: ['failed'], outcome: 'failed' },
  { kinds: ['certificate', 'alive', 'failed'], outcome: 'failed' },
  { kinds: ['certificate'], outcome: undefined },
  { kinds: [], outcome: undefined },
]) {
  test(`messages that arrive in one read are all handled: ${kinds} is ${outcome}`, async (t) => {
    const mark = join(t.testdir(), 'mark');
    const child = fork(PROGRAM, [mark, ...kinds], { serialization: 'advanced' });
    t.teardown(() => child.kill('SIGKILL'));
    const started = startOutcome(child);
    child.send({ kind: 'start' }); // ends where nothing is said of the start
    // Nothing is read before all of it is there.
    const pause = new Int32Array(new SharedArrayBuffer(4));
    while (!existsSync(mark)) Atomics.wait(pause, 0, 0, 5);
    t.equal((await started)?.kind, outcome);
  });
}

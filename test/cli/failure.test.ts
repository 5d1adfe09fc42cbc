/** Failures of a command as lines and an exit code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { describeFailure, EXIT_FAILURE, EXIT_USAGE, Failure, isSystemError, UsageError } from '../../cli/failure.ts';
import { ConfigError } from '../../config/problem.ts';

const problem = (file: string) => ({ file, line: 1, column: 2, key: 'k', message: 'm', fix: 'f' });

for (const { what, error, lines, exitCode } of [
  {
    what: 'a usage error',
    error: new UsageError('no such thing', 'Write another.'),
    lines: ['no such thing. Write another.'],
    exitCode: EXIT_USAGE,
  },
  {
    what: 'a usage error without a fix',
    error: new UsageError('no such thing', ''),
    lines: ['no such thing.'],
    exitCode: EXIT_USAGE,
  },
  {
    what: 'a config error',
    error: new ConfigError([problem('a'), problem('b')]),
    lines: ['a:1:2 k: m. Fix: f', 'b:1:2 k: m. Fix: f'],
    exitCode: EXIT_FAILURE,
  },
  { what: 'a failure', error: new Failure('it said no'), lines: ['it said no'], exitCode: EXIT_FAILURE },
  { what: 'a thrown text', error: 'text', lines: ['text'], exitCode: EXIT_FAILURE },
  { what: 'nothing at all', error: undefined, lines: ['undefined'], exitCode: EXIT_FAILURE },
]) {
  test(`${what} is ${lines.length} lines and exit ${exitCode}`, async (t) => {
    t.same(describeFailure(error), { lines, exitCode });
  });
}

function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

test('errors of the system about files name the file and a fix', async (t) => {
  const folder = t.testdir({ file: '' });
  for (const [name, says] of [
    ['gone', /gone: there is no such file\. Fix: \w/],
    ['file/below', /below: a part of the path is a file/],
    ['.', /: this is a folder, not a file/],
  ] as const) {
    const error = thrown(() => readFileSync(join(folder, name)));
    t.ok(isSystemError(error));
    t.match(describeFailure(error), { lines: [says], exitCode: EXIT_FAILURE });
  }
});

test('an error of the program itself shows where it happened', async (t) => {
  const error = thrown(() => (undefined as unknown as { a: 1 }).a);
  t.notOk(isSystemError(error));
  t.match(describeFailure(error).lines, [/^TypeError: .*\n +at /]);
});

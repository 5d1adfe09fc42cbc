/** Lines of the log: JSON that a terminal does not obey. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'tap';
import { isLogLevel, LOG_LEVELS } from '../../telemetry/log.ts';

const MODULE = join(import.meta.dirname, '../../telemetry/log.ts');

function linesOf(level: string, script: string): Record<string, unknown>[] {
  const source = `import { createLog } from ${JSON.stringify(MODULE)}; const log = createLog({ name: 'n', level: '${level}' }); ${script}`;
  const { stderr, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', source]);
  if (stdout.length > 0) throw new Error('standard output belongs to answers');
  return String(stderr)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      if (/[\x00-\x1f\x7f-\x9f\u202e]/.test(line)) throw new Error(`a terminal obeys ${JSON.stringify(line)}`);
      return JSON.parse(line) as Record<string, unknown>;
    });
}

test('a line has level, time, name and text, and is written before the process ends', async (t) => {
  const [line] = linesOf('info', "log.warn({ a: 1 }, 'text'); process.exit();");
  t.match(line, { level: 'warn', name: 'n', msg: 'text', a: 1, time: /^\d{4}-\d\d-\d\dT.*Z$/, pid: Number });
});

test('what a terminal would obey is escaped, and is the same value', async (t) => {
  const [line] = linesOf('info', "log.info({ a: '\\x1b[2J\\x9b\\u202e' }, 'b\\r\\nc');");
  t.match(line, { a: '\x1b[2J\x9b\u202e', msg: 'b\r\nc' });
});

test('what is less severe than the level is not written, and nothing with silent', async (t) => {
  t.same(
    linesOf('warn', "log.info('a'); log.warn('b'); log.error('c');").map(({ msg }) => msg),
    ['b', 'c'],
  );
  t.same(linesOf('silent', "log.fatal('a');"), []);
});

test('a level is one of the list', async (t) => {
  for (const level of LOG_LEVELS) t.ok(isLogLevel(level));
  for (const text of ['', 'INFO', 'verbose', 'constructor']) t.notOk(isLogLevel(text), text);
});

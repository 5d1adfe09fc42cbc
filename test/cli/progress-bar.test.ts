import { test } from 'tap';
import { progressBar } from '../../cli/progress-bar.ts';

function output(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { isTTY, columns, written, write: (text: string) => void written.push(text) };
}

test('a terminal shows a bar in one line, which is written anew', async (t) => {
  const out = output(true, 60);
  const bar = progressBar(out, () => 0);
  bar.show(0, 200, '');
  bar.show(100, 200, '3 failed');
  bar.show(200, 200, '');
  bar.end();
  bar.end();
  t.same(out.written, [
    '\r\x1b[K[..............................]   0% 0 of 200',
    '\r\x1b[K[#############............]  50% 100 of 200, 3 failed'.replace(
      /\[[#.]+\]/,
      '[###############...............]',
    ),
    '\r\x1b[K[##############################] 100% 200 of 200',
    '\n',
  ]);
});

test('a bar is never wider than the terminal', async (t) => {
  for (const columns of [1, 5, 10, 20, 30, 40]) {
    const out = output(true, columns);
    progressBar(out, () => 0).show(99_999, 100_000, '12345 failed');
    t.ok((out.written[0] ?? '').length - '\r\x1b[K'.length < Math.max(columns, 1), String(columns));
  }
});

test('elsewhere a line comes every five seconds, if there is something new', async (t) => {
  const out = output(false);
  let now = 0;
  const bar = progressBar(out, () => now);
  for (const [at, done] of [
    [0, 0],
    [1_000, 10],
    [5_000, 20],
    [9_000, 30],
    [20_000, 30],
    [40_000, 30],
  ] as const) {
    now = at;
    bar.show(done, 30, '');
  }
  bar.end();
  t.same(out.written, ['0% 0 of 30\n', '66% 20 of 30\n', '100% 30 of 30\n']);
});

test('nothing to do is all done', async (t) => {
  const out = output(false);
  progressBar(out, () => 0).show(0, 0, '');
  t.same(out.written, ['100% 0 of 0\n']);
});

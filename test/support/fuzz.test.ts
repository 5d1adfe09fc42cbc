/** The helper of properties: what fails is saved, and tried first from then on. */
import { existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import { corpusOf, FUZZ_MS, fuzzer, outcome, readCorpus } from './fuzz.ts';

const ROOT = join(import.meta.dirname, '../..');
/** There is no such test file, and no corpus but while this runs. */
const MADE_UP = join(ROOT, 'test/made-up/parser.test.ts');

test('a failing input is saved while fuzzing, and replayed first without it', async (t) => {
  t.teardown(() => rmSync(dirname(corpusOf(MADE_UP)), { recursive: true, force: true }));
  const fuzz = fuzzer(MADE_UP);
  const bytes = fc.uint8Array({ maxLength: 8 });
  const fails = fc.property(bytes, fc.integer(), (input, _other) => !input.includes(0xff));
  process.env[FUZZ_MS] = '2000';
  t.throws(() => fuzz('no byte is 255', fails), /seed: -?\d+.*Saved in test\/corpora\/made-up\/parser\.json/s);
  delete process.env[FUZZ_MS];
  t.match(readCorpus(corpusOf(MADE_UP)), { 'no byte is 255': [[new Uint8Array([255]), 0]] });
  const seen: number[][] = [];
  fuzz(
    'no byte is 255',
    fc.property(bytes, fc.integer(), (input, _other) => void seen.push([...input])),
  );
  t.strictSame(seen[0], [255]);
  t.ok(seen.length >= 100, 'and random ones after it');
});

test('the shortest input of each class of outcome is saved while fuzzing, and replayed without it', async (t) => {
  t.teardown(() => rmSync(dirname(corpusOf(MADE_UP)), { recursive: true, force: true }));
  const fuzz = fuzzer(MADE_UP);
  const classify = (seen: string[]) =>
    fc.property(fc.string({ maxLength: 3 }), (text) => {
      seen.push(text);
      outcome(text === '' ? 'empty' : text.length === 3 ? 'long' : 'short');
    });
  process.env[FUZZ_MS] = '500';
  fuzz('text has a length', classify([]));
  await fuzz(
    'text has a length later',
    fc.asyncProperty(fc.constantFrom('a', 'b'), async (text) => outcome(text)),
  );
  delete process.env[FUZZ_MS];
  const corpus = readCorpus(corpusOf(MADE_UP));
  const title = 'text has a length';
  t.strictSame(Object.keys(corpus).sort(), [
    `${title} later → a`,
    `${title} later → b`,
    `${title} → empty`,
    `${title} → long`,
    `${title} → short`,
  ]);
  t.strictSame([corpus[`${title} → empty`], corpus[`${title} later → b`]], [[['']], [['b']]]);
  const seen: string[] = [];
  fuzz(title, classify(seen));
  t.strictSame(
    seen
      .slice(0, 3)
      .map((text) => text.length)
      .sort(),
    [0, 1, 3],
  );
});

test('a failure without fuzzing is not saved, and prints its seed', async (t) => {
  const fuzz = fuzzer(MADE_UP);
  t.throws(
    () =>
      fuzz(
        'nothing',
        fc.property(fc.string(), () => false),
      ),
    /seed: -?\d+, path: /,
  );
  await t.rejects(
    fuzz(
      'nothing at all',
      fc.asyncProperty(fc.string(), async () => false),
    ),
    /seed: -?\d+, path: /,
  );
  t.notOk(existsSync(corpusOf(MADE_UP)));
});

test('every corpus belongs to a property', async (t) => {
  for (const corpus of globSync('test/corpora/**/*.json', { cwd: ROOT })) {
    const file = corpus.replace('test/corpora/', 'test/').replace(/\.json$/, '.test.ts');
    const source = readFileSync(join(ROOT, file), 'utf8');
    for (const key of Object.keys(readCorpus(join(ROOT, corpus)))) {
      const [title = ''] = key.split(' → ');
      t.ok(source.includes(title), `${file}: ${title}`);
    }
  }
  t.pass();
});

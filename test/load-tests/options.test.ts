import { test } from 'tap';
import { parseSettings } from '../../load-tests/bench/options.ts';

const parse = (...args: string[]) => parseSettings(args, ['hit-bare', 'miss'], ['nginx', 'floor']);

test('missing options have defaults', async (t) => {
  t.match(parse(), { rounds: 10, seconds: 1, objects: 1_000_000, only: [], peers: undefined, action: 'run' });
});

test('lists, numbers and flags are read', async (t) => {
  const settings = parse('--only', 'miss,hit-bare', '--peers=nginx', '--rounds', '3', '--seconds', '1');
  t.match(settings, { only: ['miss', 'hit-bare'], peers: ['nginx'], rounds: 3, seconds: 1 });
  t.equal(parse('--show-configs').action, 'show-configs');
  t.same(parse('--peers', '').peers, []);
});

for (const { args, says } of [
  { args: ['--rounds', '0'], says: /--rounds needs a whole number from 1 to 100, not "0"/ },
  { args: ['--seconds', '1e9'], says: /--seconds/ },
  { args: ['--seconds', '1.5'], says: /--seconds/ },
  { args: ['--only', 'mis'], says: /there is no scenario "mis": they are hit-bare, miss/ },
  { args: ['--peers', 'apache'], says: /there is no server "apache"/ },
  { args: ['--write-docs', '--only', 'miss'], says: /needs a run of everything/ },
  { args: ['--wat'], says: /--wat/ },
  { args: ['miss'], says: /miss/ },
]) {
  test(`${args.join(' ')} is refused`, async (t) => {
    t.throws(() => parse(...args), { name: 'OptionError', message: says });
  });
}

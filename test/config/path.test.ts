/** References from one config file to another. */
import { join } from 'node:path';
import { test } from 'tap';
import { realPath, siblingPath } from '../../config/path.ts';

for (const { file, path, found } of [
  { file: 'a/b.yaml', path: 'c.yaml', found: 'a/c.yaml' },
  { file: 'a/b.yaml', path: '../c.yaml', found: 'c.yaml' },
  { file: 'a/b.yaml', path: '/c.yaml', found: '/c.yaml' },
  { file: 'b.yaml', path: './c.yaml', found: 'c.yaml' },
  { file: '/b.yaml', path: '../../c.yaml', found: '/c.yaml' },
]) {
  test(`${path} in ${file} is ${found}`, async (t) => {
    t.equal(siblingPath(file, path), found);
  });
}

test('a file has one path, through links as well; one that is missing keeps the path that it was given', async (t) => {
  const folder = t.testdir({
    a: { 'b.yaml': '' },
    'link.yaml': t.fixture('symlink', 'a/b.yaml'),
    c: t.fixture('symlink', 'a'),
  });
  for (const name of ['a/b.yaml', 'a/../a/b.yaml', 'link.yaml', 'c/b.yaml']) {
    t.equal(realPath(join(folder, name)), realPath(join(folder, 'a/b.yaml')), name);
  }
  t.equal(realPath(join(folder, 'gone.yaml')), join(folder, 'gone.yaml'));
});

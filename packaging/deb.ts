/**
 * The Debian package: the published program with its packages and its Node, a unit for systemd, completion, logrotate.
 * Made with dpkg-deb alone. The packages are those of this checkout, by the lockfile.
 *
 *     npm run deb [-- --out FOLDER] [--version VERSION]
 *
 * @module
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.ts';

const ROOT = join(import.meta.dirname, '..');
const OURS = import.meta.dirname;

/** Architecture names of Debian, by Node's. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

const PROGRAM_FOLDER = 'usr/lib/seawall';

/** Files, by where they are installed. */
const FILES: Readonly<Record<string, string>> = {
  'usr/lib/systemd/system/seawall@.service': 'packaging/systemd/seawall@.service',
  'usr/lib/sysusers.d/seawall.conf': 'packaging/debian/sysusers',
  'usr/lib/tmpfiles.d/seawall.conf': 'packaging/debian/tmpfiles',
  'etc/logrotate.d/seawall': 'packaging/debian/logrotate',
  'etc/seawall/secrets.env': 'packaging/debian/secrets.env',
  'usr/share/doc/seawall/README.md': 'README.md',
  'usr/share/doc/seawall/copyright': 'LICENSE',
  'usr/share/doc/seawall/deployment.md': 'docs/deployment.md',
  'usr/share/doc/seawall/examples/eu.yaml': 'config/regions/eu.yaml',
};

const PROGRAMS: Readonly<Record<string, string>> = {
  [`${PROGRAM_FOLDER}/run-region`]: 'packaging/debian/run-region',
};

const SCRIPTS = ['postinst', 'prerm', 'postrm'];

const COMPLETIONS: Readonly<Record<string, string>> = {
  bash: 'usr/share/bash-completion/completions/seawall',
  zsh: 'usr/share/zsh/vendor-completions/_seawall',
  fish: 'usr/share/fish/vendor_completions.d/seawall.fish',
};

/** Only root, who is systemd, reads secrets. */
const PRIVATE = ['etc/seawall/secrets.env'];

/** Parts of packages that a running program has no use for. */
const USELESS = /\/(?:include|share|\.cache)(?:\/|$)|\.(?:d\.[cm]?ts|map|md)$|\/zod\/src\//;

export interface DebOptions {
  /** Folder for the package. */
  readonly out: string;
  readonly version: string;
}

/** @returns Path of the package. */
export function makeDeb({ out, version }: DebOptions): string {
  const architecture = ARCHITECTURES[arch()];
  if (architecture === undefined) throw new Error(`there is no Debian architecture for ${arch()}`);
  process.umask(0o022);
  const root = mkdtempSync(join(tmpdir(), 'seawall-deb-'));
  try {
    chmodSync(root, 0o755);
    build(join(root, PROGRAM_FOLDER));
    setVersion(join(root, PROGRAM_FOLDER, 'package.json'), version);
    copyPackages(join(root, PROGRAM_FOLDER));
    for (const [path, from] of Object.entries(FILES)) copy(join(ROOT, from), join(root, path), 0o644);
    for (const [path, from] of Object.entries(PROGRAMS)) copy(join(ROOT, from), join(root, path), 0o755);
    for (const path of PRIVATE) chmodSync(join(root, path), 0o600);
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    execFileSync('ln', ['-s', '../lib/seawall/cli/seawall', join(root, 'usr/bin/seawall')]);
    for (const [shell, path] of Object.entries(COMPLETIONS)) {
      const script = execFileSync(join(root, PROGRAM_FOLDER, 'cli/seawall'), ['completion', shell]);
      write(join(root, path), script);
    }
    rmSync(join(root, PROGRAM_FOLDER, 'node_modules/.cache'), { recursive: true, force: true });
    for (const script of SCRIPTS) copy(join(OURS, 'debian', script), join(root, 'DEBIAN', script), 0o755);
    write(join(root, 'DEBIAN/conffiles'), conffiles());
    write(join(root, 'DEBIAN/control'), control({ version, architecture, kib: sizeOf(root) }));
    mkdirSync(out, { recursive: true });
    const file = join(out, `seawall_${version}_${architecture}.deb`);
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '-z1', '--build', root, file], { stdio: 'pipe' });
    return file;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function conffiles(): string {
  const paths = Object.keys(FILES).filter((path) => path.startsWith('etc/'));
  return `${paths.map((path) => `/${path}`).join('\n')}\n`;
}

interface ControlFields {
  readonly version: string;
  readonly architecture: string;
  readonly kib: number;
}

function control({ version, architecture, kib }: ControlFields): string {
  const { description } = packageJson();
  return `Package: seawall
Version: ${version}
Architecture: ${architecture}
Maintainer: Seawall <seawall@localhost>
Installed-Size: ${kib}
Depends: libc6 (>= 2.28), libstdc++6, libgcc-s1, libatomic1, systemd (>= 250)
Recommends: ca-certificates, logrotate
Section: httpd
Priority: optional
Description: ${description}
 Edge caches near visitors, a shield in front of the origin, and purges with
 receipts. One file per region says what runs; seawall@REGION.service runs it.
`;
}

interface Locked {
  readonly dev?: boolean;
  /** It may be missing, such as one for another system. */
  readonly optional?: boolean;
}

/** Copies the packages that the lockfile has for production. Of the package `node` the binary is all that is needed. */
function copyPackages(to: string): void {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const node = 'node_modules/node';
  for (const [path, { dev, optional }] of Object.entries(packages)) {
    const isOfNode = path.startsWith(node) && ['', '-bin-setup'].some((rest) => path === node + rest);
    if (path === '' || dev || isOfNode || (optional && !existsSync(join(ROOT, path)))) continue;
    const isNested = (from: string): boolean => from.slice(join(ROOT, path).length).includes('/node_modules');
    cpSync(join(ROOT, path), join(to, path), {
      recursive: true,
      filter: (from) => !isNested(from) && !USELESS.test(from.slice(ROOT.length)),
    });
  }
  copy(join(ROOT, node, 'bin/node'), join(to, node, 'bin/node'), 0o755);
}

function sizeOf(folder: string): number {
  return Number.parseInt(execFileSync('du', ['-sk', folder], { encoding: 'utf8' }), 10);
}

function setVersion(file: string, version: string): void {
  write(file, `${JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), version })}\n`);
}

function packageJson(): { readonly version: string; readonly description: string } {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
}

function copy(from: string, to: string, mode: number): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
  chmodSync(to, mode);
}

function write(path: string, content: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: 'string' }, version: { type: 'string' } } });
  const file = makeDeb({ out: resolve(values.out ?? 'dist-deb'), version: values.version ?? packageJson().version });
  const size = execFileSync('du', ['-sm', file], { encoding: 'utf8' }).split('\t')[0];
  process.stdout.write(`${basename(file)}: ${size} MiB, in ${dirname(file)}\n`);
}

/**
 * Opens the store that a region file names, and says which key is wrong where it cannot.
 * @module
 */
import { readFileSync } from 'node:fs';
import { readYaml } from '../../config/document.ts';
import { siblingPath } from '../../config/path.ts';
import { ConfigError, type KeyPath, keyOf } from '../../config/problem.ts';
import type { EtcdConfig } from '../../config/schema/control.ts';
import type { RegionConfig } from '../../config/schema.ts';
import type { SealerOptions } from '../../journal/audit/sealer.ts';
import { JournalError } from '../../journal/errors.ts';
import type { EtcdOptions } from '../../journal/etcd/journal.ts';
import { wallNow } from '../../lib/clock.ts';
import { type ControlConfig, dataProblem, openDataFolder } from '../data-folder.ts';
import { openEmbeddedStore } from './embedded-store.ts';
import { openEtcdStore } from './etcd-store.ts';
import type { ControlStore } from './store.ts';

/**
 * @param region - Whose control node it is.
 * @param sealing - Signs the audit log; a command that writes none leaves it out.
 * @throws {ConfigError} (rejects) that names the key.
 */
export async function openStore(
  region: RegionConfig,
  control: ControlConfig,
  sealing: SealerOptions = {},
): Promise<ControlStore> {
  const { file, network } = region;
  const etcd = control.journal?.etcd;
  if (etcd === undefined) return openFiles(file, control, sealing);
  const options = { ...etcdOptions(file, network, etcd), ...sealing };
  try {
    return await openEtcdStore(options);
  } catch (error) {
    throw error instanceof JournalError ? etcdProblem(file, network, etcd, error) : error;
  }
}

function openFiles(file: string, control: ControlConfig, sealing: SealerOptions): ControlStore {
  const folder = openDataFolder(file, control);
  try {
    return openEmbeddedStore(folder, { now: wallNow, ...sealing });
  } catch (error) {
    const isInUse = error instanceof JournalError && error.code === 'journal_in_use';
    throw dataProblem(
      file,
      (error as Error).message,
      isInUse ? 'Stop that process, or name another folder.' : undefined,
    );
  }
}

/**
 * @param file - Region file, which names of files are relative to.
 * @throws {ConfigError} about a file that cannot be read.
 */
export function etcdOptions(file: string, network: string, etcd: EtcdConfig): EtcdOptions {
  const { endpoints, prefix, tls, username: name, password, password_file: passwordFile } = etcd;
  const read = (path: KeyPath, name: string | undefined): string | undefined => {
    if (name === undefined) return undefined;
    const found = siblingPath(file, name);
    try {
      return readFileSync(found, 'utf8');
    } catch (error) {
      const message = `${found} cannot be read (${(error as Error).message})`;
      throw problem(file, path, message, 'Name a file that this user may read.');
    }
  };
  const [ca, cert, key] = (['ca_file', 'cert_file', 'key_file'] as const).map((one) => read(['tls', one], tls?.[one]));
  const inFile = read(['password_file'], passwordFile)?.split('\n')[0]?.trimEnd();
  if (inFile === '') {
    throw problem(file, ['password_file'], 'its first line is empty', 'Write the password into its first line.');
  }
  return {
    endpoints,
    prefix,
    network,
    now: wallNow,
    forgetsRevisions: etcd.compact,
    ...(tls && { tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } }),
    ...(name !== undefined && { user: { name, password: password ?? inFile ?? '' } }),
  };
}

/** Messages of TLS connections that fail because one side does not trust the other, or speaks no TLS. */
const TLS_FAILURE =
  /certificate|self-signed|altname|alert|wrong version number|EPROTO|packet length|secure TLS connection/i;

/** A server that speaks no TLS may close the connection without a word. */
function isTlsFailure(message: string, { endpoints }: EtcdConfig): boolean {
  const isClosed = /ECONNRESET|other side closed|socket hang up/.test(message);
  return TLS_FAILURE.test(message) || (isClosed && endpoints.some((endpoint) => endpoint.startsWith('https:')));
}

function etcdProblem(file: string, network: string, etcd: EtcdConfig, error: JournalError): ConfigError {
  const { code, message } = error;
  switch (code) {
    case 'journal_refused':
      return etcd.username === undefined
        ? problem(
            file,
            [],
            `etcd does not admit a client without a user (${message})`,
            'Add `username` and `password`.',
          )
        : problem(
            file,
            ['username'],
            `etcd does not admit the user ${etcd.username} (${message})`,
            `Correct the name or the password, or grant it keys: \`etcdctl role grant-permission ROLE readwrite ${etcd.prefix} --prefix\`.`,
          );
    case 'journal_foreign':
      return problem(
        file,
        ['prefix'],
        `another store is below ${etcd.prefix} (${message})`,
        `Write another prefix, such as /${network}/, or the \`network\` that it is of.`,
      );
    case 'journal_corrupt':
      return problem(
        file,
        ['prefix'],
        `the store below ${etcd.prefix} is damaged (${message})`,
        'Restore a snapshot of etcd, or write another prefix: a new journal is begun there, and nodes revalidate.',
      );
    default:
      if (message.includes('space exceeded')) {
        const fix = 'Give it a higher --quota-backend-bytes, or `etcdctl defrag`; then `etcdctl alarm disarm`.';
        return problem(file, ['quota'], `etcd takes no more writes (${message})`, fix);
      }
      return isTlsFailure(message, etcd)
        ? problem(
            file,
            etcd.tls === undefined ? ['endpoints'] : ['tls'],
            `etcd and this control node do not trust each other (${message})`,
            'Name the authority of its certificates in `tls.ca_file`, and write https:// where it speaks TLS.',
          )
        : problem(
            file,
            ['endpoints'],
            `no member of etcd can be used (${message})`,
            'Start etcd (3.4 or later, with its JSON gateway on), or correct the addresses.',
          );
  }
}

function problem(file: string, path: KeyPath, message: string, fix: string): ConfigError {
  const full = ['control', 'journal', 'etcd', ...path];
  const yaml = readYaml(file);
  if ('source' in yaml) return new ConfigError([yaml.source.problem(full, message, fix)]);
  return new ConfigError([{ file, line: 0, column: 0, key: keyOf(full), message, fix }]);
}

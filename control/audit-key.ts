/**
 * The key that signs the audit log: of Ed25519, in PEM (PKCS #8), made when there is none. It stays on its machine.
 * @module
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readYaml } from '../config/document.ts';
import { siblingPath } from '../config/path.ts';
import { ConfigError, type KeyPath, keyOf } from '../config/problem.ts';
import type { RegionConfig } from '../config/schema.ts';
import { parseVerifier, type Signer, signerOf, type Verifier } from '../journal/audit/note.ts';
import type { SealerOptions } from '../journal/audit/sealer.ts';
import { type ControlConfig, openDataFolder } from './data-folder.ts';

const FOR_OTHERS = 0o077;

/** Identity of the audit log of a network: first line of its checkpoints, and name of its keys. */
export function auditOrigin(network: string): string {
  return `seawall/${network}/audit`;
}

/** @throws {ConfigError} when the key cannot be read or made, or one of `known_keys` is none of the network. */
export function auditSealing(
  region: RegionConfig,
  control: ControlConfig,
): Required<SealerOptions> & { signer: Signer } {
  const known = knownKeys(region, control);
  const signer = signerOf(auditOrigin(region.network), auditKey(region.file, control));
  // A single control node knows its only key. Of several, those that are not named are compared, and not verified.
  return { signer, known: known.length === 0 && control.journal !== undefined ? undefined : known };
}

/** @throws {ConfigError} when one of them is none of the network. */
export function knownKeys(
  { file, network }: RegionConfig,
  { audit_log: { known_keys: texts } }: ControlConfig,
): Verifier[] {
  return texts.map((text, index) => {
    const verifier = parseVerifier(text);
    if (verifier?.name === auditOrigin(network)) return verifier;
    const message = verifier === undefined ? 'it is no public key' : `it is a key of ${verifier.name}`;
    throw problem(
      file,
      ['known_keys', index],
      message,
      `Write what \`seawall audit key\` prints for another control node.`,
    );
  });
}

/** @returns The public key of a control node whose key is on this machine; undefined: there is none yet. */
export function ownVerifier(region: RegionConfig, control: ControlConfig): Verifier | undefined {
  const file = keyFile(region.file, control, (folder) => siblingPath(region.file, folder));
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return undefined;
  return signerOf(auditOrigin(region.network), readKey(region.file, file));
}

function auditKey(regionFile: string, control: ControlConfig): KeyObject {
  const file = keyFile(regionFile, control, () => openDataFolder(regionFile, control).folder);
  try {
    const key = generateKeyPairSync('ed25519').privateKey;
    const fd = openSync(file, 'wx', 0o600);
    writeSync(fd, key.export({ format: 'pem', type: 'pkcs8' }));
    fsyncSync(fd);
    closeSync(fd);
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return readKey(regionFile, file);
    throw keyProblem(regionFile, `${file} cannot be made (${(error as Error).message})`);
  }
}

function keyFile(
  regionFile: string,
  { audit_log: { key_file: file }, data }: ControlConfig,
  folderOf: (data: string) => string,
): string {
  return file === undefined ? join(folderOf(data), 'audit.key') : siblingPath(regionFile, file);
}

function readKey(regionFile: string, file: string): KeyObject {
  try {
    if ((statSync(file).mode & FOR_OTHERS) !== 0) chmodSync(file, 0o600);
    const key = createPrivateKey(readFileSync(file));
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it is a key of ${key.asymmetricKeyType}`);
    return key;
  } catch (error) {
    throw keyProblem(regionFile, `${file} cannot be used (${(error as Error).message})`);
  }
}

function keyProblem(file: string, message: string): ConfigError {
  return problem(
    file,
    ['key_file'],
    message,
    'Name a file with a private key of Ed25519 in PEM, or one that is not there yet.',
  );
}

function problem(file: string, path: KeyPath, message: string, fix: string): ConfigError {
  const full = ['control', 'audit_log', ...path];
  const yaml = readYaml(file);
  if ('source' in yaml) return new ConfigError([yaml.source.problem(full, message, fix)]);
  return new ConfigError([{ file, line: 0, column: 0, key: keyOf(full), message, fix }]);
}

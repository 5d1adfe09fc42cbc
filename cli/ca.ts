/**
 * `seawall ca`: the certificates by which the nodes of a network know each other.
 * @module
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nearest } from '../config/nearest.ts';
import { quote } from '../config/problem.ts';
import { parseDuration } from '../config/units.ts';
import { wallNow } from '../lib/clock.ts';
import {
  type Authority,
  createAuthority,
  type Issued,
  makeKey,
  openAuthority,
  privatePem,
} from '../trust/authority/authority.ts';
import { AuthorityError } from '../trust/authority/errors.ts';
import { createFile, replaceFile } from '../trust/authority/files.ts';
import { NAME, type NodeIdentity, ROLES, type Role } from '../trust/identity.ts';
import { type CertificateRequest, makeRequest, readRequest } from '../trust/x509/request.ts';
import { actionOf } from './action.ts';
import { columns, defineCommand, PROGRAM } from './command.ts';
import { Failure, isSystemError, UsageError } from './failure.ts';
import { print } from './output.ts';

const ACTIONS = ['init', 'request', 'issue', 'renew', 'revoke', 'list'] as const;

type Action = (typeof ACTIONS)[number];

const AUTHORITY_LIFETIME = '3650d';
const LIFETIME = '90d';

export const ca = defineCommand({
  name: 'ca',
  summary: 'Make the certificates by which nodes know each other.',
  about: `
init FOLDER           makes the authority of a network: FOLDER/ca.key signs, ca.pem and
                      revoked.pem are for all nodes. Keep the folder off the nodes.
request FOLDER NAME   on the machine of a node: makes FOLDER/NAME.key, which stays there,
                      and FOLDER/NAME.csr for the authority. A key that is there is kept.
issue FOLDER NAME     writes the certificate of a node to NAME.pem, for the key of
                      --request, or with --with-key for one that is made here as well.
renew FOLDER [NAME]   writes another one for the same key: for the named nodes, or for
                      all that have less than a third of their time left. --ca makes a
                      new authority beside the ones there are, --retire drops those.
revoke FOLDER NAME    revokes all certificates of a node, or one by its serial number,
                      in FOLDER/revoked.pem. Copy that file to all nodes.
list FOLDER           shows what was issued, the newest first.`,
  operands: `${ACTIONS.join('|')} FOLDER [NAME...]`,
  options: {
    network: { type: 'text', value: 'NAME', help: 'Name of the network, as in the region files.' },
    role: { type: 'text', value: 'ROLE', help: `Role of the node: ${ROLES.join(', ')}.` },
    region: { type: 'text', value: 'NAME', help: 'Region of the node, as in its region file.' },
    request: { type: 'text', value: 'FILE', help: 'Request that was made on the machine of the node.' },
    'with-key': { type: 'flag', help: 'Make the private key here, and write it to NAME.key.' },
    out: { type: 'text', value: 'FOLDER', help: 'Folder for what is issued. Default: the current one.' },
    lifetime: {
      type: 'text',
      value: 'DURATION',
      help: `Time of validity. Default: ${LIFETIME}, of an authority ${AUTHORITY_LIFETIME}.`,
    },
    ca: { type: 'flag', help: 'With renew: a new authority, which signs from now on.' },
    retire: { type: 'flag', help: 'With renew: trust only the newest authority.' },
    json: { type: 'flag', help: 'Print JSON.' },
  },
  examples: [
    'init ca --network seawall-demo',
    'request tls eu-1 --network seawall-demo',
    'issue ca eu-1 --role edge --region eu --request eu-1.csr --out tls',
    'issue ca control --role control --region eu --with-key --out tls',
    'renew ca --out tls',
    'revoke ca eu-1',
  ],

  async run(options, [action, folder, ...names]) {
    const wanted = actionOf(ACTIONS, action);
    if (folder === undefined) throw new UsageError('no folder is named', `Name it: ca ${wanted} FOLDER.`);
    try {
      return ACTION_OF[wanted](folder, names, options);
    } catch (error) {
      throw error instanceof AuthorityError ? new Failure(`${error.message}. ${error.fix}`) : error;
    }
  },
});

interface Values {
  readonly network: string | undefined;
  readonly role: string | undefined;
  readonly region: string | undefined;
  readonly request: string | undefined;
  readonly 'with-key': boolean;
  readonly out: string | undefined;
  readonly lifetime: string | undefined;
  readonly ca: boolean;
  readonly retire: boolean;
  readonly json: boolean;
}

type Run = (folder: string, names: readonly string[], values: Values) => number;

const ACTION_OF: Readonly<Record<Action, Run>> = { init, request, issue, renew, revoke, list };

function init(folder: string, names: readonly string[], { network, lifetime, json }: Values): number {
  expectNames(names, 0);
  if (network === undefined)
    throw new UsageError('--network is missing', 'Write what the region files say: --network NAME.');
  const lifetimeMs = lifetimeOf(lifetime, AUTHORITY_LIFETIME);
  const authority = createAuthority({ folder, network, lifetimeMs, now });
  const [certificate] = authority.certificates;
  if (json) print(JSON.stringify({ network, expires: certificate?.validToDate }));
  else {
    print(`${join(folder, 'ca.pem')} is the authority of ${network} until ${dayOf(certificate?.validToDate)}.`);
    print(
      `Keep ${folder} where no node runs: who has ca.key can make nodes. Copy ca.pem and revoked.pem to all nodes.`,
    );
  }
  return 0;
}

function request(folder: string, names: readonly string[], { network, json }: Values): number {
  const [name] = expectNames(names, 1);
  if (network === undefined)
    throw new UsageError('--network is missing', 'Write what the region files say: --network NAME.');
  for (const one of [name, network]) checkName(one);
  mkdirSync(folder, { recursive: true });
  const keyFile = join(folder, `${name}.key`);
  const isKept = existsSync(keyFile);
  const key = isKept ? keyIn(keyFile) : makeKey();
  if (!isKept) createFile(keyFile, privatePem(key), { isPrivate: true });
  const file = join(folder, `${name}.csr`);
  replaceFile(file, makeRequest(network, name, key));
  if (json) print(JSON.stringify({ key_file: keyFile, request: file, kept: isKept }));
  else {
    print(`${keyFile} ${isKept ? 'was there and is kept' : 'is the private key: it stays here'}.`);
    print(`Take ${file} to the authority: ${PROGRAM} ca issue FOLDER ${name} --role ROLE --request ${name}.csr`);
  }
  return 0;
}

function issue(folder: string, names: readonly string[], values: Values): number {
  const [name] = expectNames(names, 1);
  const { request: requestFile, 'with-key': makesKey, out = '.', region, json } = values;
  if ((requestFile === undefined) === !makesKey) {
    const fix = `Give --request FILE, which ${PROGRAM} ca request makes on the machine of the node, or --with-key.`;
    throw new UsageError(makesKey ? '--request and --with-key exclude each other' : 'there is no key', fix);
  }
  const role = roleOf(values.role);
  if (region === undefined && role !== 'admin') {
    throw new UsageError('--region is missing', `Write the region whose file names ${name}: --region NAME.`);
  }
  const authority = openAuthority({ folder, now });
  checkHolder(authority, { role, name, region });
  mkdirSync(out, { recursive: true });
  const lifetimeMs = lifetimeOf(values.lifetime, LIFETIME);
  const holder = { role, name, ...(region !== undefined && { region }) };
  if (requestFile !== undefined) {
    const { publicKey } = requestIn(requestFile, { name, network: authority.network });
    return report(out, [authority.issue(holder, publicKey, lifetimeMs)], json);
  }
  checkName(name);
  const keyFile = join(out, `${name}.key`);
  if (existsSync(keyFile)) {
    throw new Failure(`${keyFile} exists. ${PROGRAM} ca renew ${folder} ${name} makes a new certificate for its key`);
  }
  const key = makeKey();
  const issued = authority.issue(holder, createPublicKey(key), lifetimeMs);
  createFile(keyFile, privatePem(key), { isPrivate: true });
  return report(out, [issued], json);
}

/** Refuses a second certificate for a name, in another role or region: it would make one node two. */
function checkHolder(authority: Authority, { role, name, region }: Omit<NodeIdentity, 'network' | 'region'> & Region) {
  const other = authority.list().find(({ identity, state }) => {
    const isSame = identity.role === role && identity.region === region;
    return identity.name === name && state === 'valid' && !isSame;
  });
  if (other === undefined) return;
  throw new Failure(
    `${name} has a valid certificate as ${describe(other)}. Name the node otherwise, or revoke it: ${PROGRAM} ca revoke ${authority.folder} ${name}`,
  );
}

interface Region {
  readonly region: string | undefined;
}

/** Share of its time below which a certificate is renewed. */
const RENEWAL_SHARE = 1 / 3;

function renew(folder: string, names: readonly string[], values: Values): number {
  const authority = openAuthority({ folder, now });
  if (values.ca || values.retire) {
    expectNames(names, 0);
    return renewAuthority(authority, values);
  }
  const lifetimeMs = lifetimeOf(values.lifetime, LIFETIME);
  const latest = latestOf(authority);
  for (const name of names) {
    if (!latest.has(name)) throw new Failure(`${folder} has issued no valid certificate for ${quote(name)}`);
  }
  const wanted = [...latest.values()].filter(({ identity, certificate: { validFromDate, validToDate } }) => {
    const left = (validToDate.getTime() - wallNow()) / (validToDate.getTime() - validFromDate.getTime());
    return names.length > 0 ? names.includes(identity.name) : left < RENEWAL_SHARE;
  });
  const { out = '.' } = values;
  mkdirSync(out, { recursive: true });
  return report(
    out,
    wanted.map((one) => authority.renew(one, lifetimeMs)),
    values.json,
  );
}

/** Newest certificate of each node, unless it was revoked. */
function latestOf(authority: Authority): ReadonlyMap<string, Issued> {
  const latest = new Map<string, Issued>();
  for (const one of authority.list().toReversed()) latest.set(one.identity.name, one);
  for (const [name, { state }] of latest) if (state === 'revoked') latest.delete(name);
  return latest;
}

function renewAuthority(authority: Authority, { ca: adds, retire, lifetime, json }: Values): number {
  const { folder } = authority;
  const added = adds ? authority.renewAuthority(lifetimeOf(lifetime, AUTHORITY_LIFETIME)) : undefined;
  const retired = retire ? authority.retireAuthorities() : [];
  const trusted = authority.certificates.length;
  if (json) print(JSON.stringify({ trusted, retired: retired.length }));
  else {
    if (added) print(`A new authority signs from now on, until ${dayOf(added.validToDate)}.`);
    for (const { validToDate } of retired) print(`The authority until ${dayOf(validToDate)} is trusted no more.`);
    print(`Copy ${folder}/ca.pem and revoked.pem to all nodes${added ? ' before you renew their certificates' : ''}.`);
  }
  return 0;
}

function revoke(folder: string, names: readonly string[], { json }: Values): number {
  const [name] = expectNames(names, 1);
  const revoked = openAuthority({ folder, now }).revoke(name);
  if (json) print(JSON.stringify(revoked.map(shown)));
  else if (revoked.length === 0) print(`All certificates of ${name} are revoked or expired already.`);
  else {
    for (const { identity, certificate } of revoked) {
      print(`${certificate.serialNumber} of the ${identity.role} ${identity.name} is revoked.`);
    }
    print(`Copy ${join(folder, 'revoked.pem')} to all nodes: it holds there within ten seconds.`);
  }
  return 0;
}

function list(folder: string, names: readonly string[], { json }: Values): number {
  expectNames(names, 0);
  const all = openAuthority({ folder, now }).list();
  if (json) print(JSON.stringify(all.map(shown)));
  else if (all.length === 0) print('Nothing was issued.');
  else for (const line of columns(all.map((one) => [one.certificate.serialNumber, describe(one)]))) print(line.trim());
  return 0;
}

function describe({ identity: { role, name, region }, certificate, state, revokedAt }: Issued): string {
  const place = region === undefined ? '' : ` in ${region}`;
  const end =
    state === 'revoked' ? `revoked on ${dayOf(revokedAt)}` : `${state}, until ${dayOf(certificate.validToDate)}`;
  return `${role} ${name}${place}: ${end}`;
}

function report(out: string, issued: readonly Issued[], json: boolean): number {
  for (const { identity, certificate } of issued) {
    replaceFile(join(out, `${identity.name}.pem`), certificate.toString());
  }
  if (json) print(JSON.stringify(issued.map(shown)));
  else if (issued.length === 0) print('No certificate has to be renewed yet.');
  for (const one of json ? [] : issued) print(`${join(out, `${one.identity.name}.pem`)}: ${describe(one)}.`);
  return 0;
}

function shown({ identity, certificate, state, revokedAt }: Issued) {
  const { serialNumber: serial, validFromDate: from, validToDate: expires } = certificate;
  const { role, name, region = null } = identity;
  return { serial, role, name, region, from, expires, state, revoked: revokedAt ?? null };
}

function dayOf(date: Date | undefined): string {
  return date?.toISOString().slice(0, 10) ?? '';
}

function now(): Date {
  return new Date(wallNow());
}

function expectNames(names: readonly string[], count: 0 | 1): readonly [string] {
  const surplus = names[count];
  if (surplus !== undefined) throw new UsageError(`${quote(surplus)} is not expected here`, '');
  if (count === 1 && names[0] === undefined)
    throw new UsageError('no node is named', 'Write its name behind the folder.');
  return [names[0] ?? ''];
}

function checkName(name: string): void {
  if (!NAME.test(name)) {
    throw new UsageError(`${quote(name)} cannot be a name`, 'Use up to 63 lower-case letters, digits and hyphens.');
  }
}

function roleOf(role: string | undefined): Role {
  const found = ROLES.find((candidate) => candidate === role);
  if (found !== undefined) return found;
  const what = role === undefined ? '--role is missing' : `--role: there is no role ${quote(role)}`;
  const near = role === undefined ? undefined : nearest(role, ROLES);
  throw new UsageError(what, near ? `Did you mean ${near}?` : `The roles are ${ROLES.join(', ')}.`);
}

function lifetimeOf(text: string | undefined, otherwise: string): number {
  const ms = parseDuration(text ?? otherwise);
  if (ms !== undefined && ms > 0) return ms;
  throw new UsageError(`--lifetime: ${quote(text ?? '')} is not a duration`, 'Write it as 12h or 90d.');
}

function keyIn(file: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(readFileSync(file));
  } catch (error) {
    if (isSystemError(error)) throw error;
    throw new Failure(`${file} is no private key that can be read (${(error as Error).message}). Fix: move it away`);
  }
}

/** @throws {Failure} for one that was made for another node, or another network. */
function requestIn(file: string, wanted: { readonly name: string; readonly network: string }): CertificateRequest {
  const request = readRequestIn(file);
  const { name, network = wanted.network } = request;
  if (name === wanted.name && network === wanted.network) return request;
  const made = name === undefined ? 'no name' : `${name} of the network ${network}`;
  throw new Failure(
    `${file} was made for ${made}, not for ${wanted.name} of the network ${wanted.network}. Fix: take the request of ${wanted.name}, or make it: ${PROGRAM} ca request FOLDER ${wanted.name} --network ${wanted.network}`,
  );
}

function readRequestIn(file: string): CertificateRequest {
  try {
    return readRequest(readFileSync(file, 'latin1'));
  } catch (error) {
    if (isSystemError(error)) throw error;
    const { message } = error as Error;
    throw new Failure(`${file} cannot be used: ${message}. Fix: make it with ${PROGRAM} ca request`);
  }
}

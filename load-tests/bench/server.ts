/**
 * Definition of a server: its command and its address.
 * @module
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Running } from './processes.ts';

/** Requirements of a scenario for its servers. */
export interface Setup {
  /** Scenarios with the same name are run on the same processes, one after the other. */
  readonly name: string;
  /** Memory for stored responses, in MiB. */
  readonly memoryMebibytes: number;
  /** Threads or workers of each server, which has the whole machine then. Absent: one, on the processor of servers. */
  readonly threads?: number | undefined;
  /** Answers of 304 have no Content-Length: `wrk` would wait for as much of a body. */
  readonly is304Bare?: boolean;
}

/** Environment that exists before any server. */
export interface Stage {
  readonly originPort: number;
  /** Folder with `cert.pem`, `key.pem` and `both.pem`; absent where there is no `openssl`. */
  readonly certificates: string | undefined;
}

export interface Server {
  readonly kind: ServerKind;
  readonly running: Running;
  /** On 127.0.0.1. */
  readonly port: number;
  /** TLS with HTTP/1.1 and HTTP/2 by ALPN. */
  readonly tlsPort: number | undefined;
  /** Connections that it takes at a time, where that is less than any scenario needs. */
  readonly mostConnections?: number;
  stop(): Promise<void>;
}

export type Ability =
  /** It keeps what the origin says, and answers it again. */
  | 'cache'
  /** It answers one body of 1 KB, whatever is asked. */
  | 'fixed'
  /** It passes on what it is asked, and keeps nothing. */
  | 'relay'
  | 'tls'
  | 'http2';

export interface ServerKind {
  /** On the command line and in results: `nginx`. */
  readonly name: string;
  /** For people: `nginx, sendfile off`. */
  readonly title: string;
  /** Absent: it is not installed. */
  readonly version: string | undefined;
  readonly abilities: ReadonlySet<Ability>;
  start(stage: Stage, setup: Setup): Promise<Server>;
  /** The files that it is configured by, for people to read. */
  configs(): Readonly<Record<string, string>>;
}

const PEERS = join(import.meta.dirname, 'peers');

/** A file of `peers/` as it stands there. */
export function template(name: string): string {
  return readFileSync(join(PEERS, name), 'utf8');
}

/** @param values - For each `{{name}}`. @throws {Error} for one that has none. */
export function fillIn(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for {{${name}}}`);
    return String(value);
  });
}

/**
 * Addresses of syslog servers, as `access_log` names them. Apart from the schema, as each thread of a node reads them.
 * @module
 */

/** Form of an address. */
export const SYSLOG: RegExp =
  /^syslog\+(?:(udp|tcp):\/\/(?:\[([0-9a-fA-F:]+)\]|([0-9A-Za-z.-]+)):(\d{1,5})|unix:(\/.+))$/;

export type SyslogAddress =
  | { readonly kind: 'udp' | 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** @returns The address that a target names; `undefined` for a file or standard output. */
export function syslogAddress(to: string): SyslogAddress | undefined {
  const [, kind, v6, name, port, path] = SYSLOG.exec(to) ?? [];
  if (path !== undefined) return { kind: 'unix', path };
  return kind === undefined ? undefined : { kind: kind as 'udp' | 'tcp', host: v6 ?? name ?? '', port: Number(port) };
}

/** @returns Whether it begins like one, whatever follows. */
export function isSyslog(to: string): boolean {
  return to.startsWith('syslog+');
}

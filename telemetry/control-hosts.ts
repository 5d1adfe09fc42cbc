/**
 * Host names under which a control listener answers without a token.
 *
 * A page in an operator's browser can point a name of its own at 127.0.0.1 (DNS
 * rebinding) and read what is there; an address, or a name that the operator
 * has chosen, it cannot.
 * @module
 */
import { isIP } from 'node:net';

/** The name and the port of a Host field, or of an address in a config. */
const HOST_PORT = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/;

/**
 * @param host - The Host field; absent in requests of HTTP/1.0, which no browser sends.
 * @param names - Names that the config gives, as HOST or HOST:PORT.
 */
export function isControlHost(host: string | undefined, names: readonly string[]): boolean {
  if (host === undefined) return true;
  const name = nameOf(host);
  if (isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0) return true;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return name !== '' && names.some((allowed) => nameOf(allowed) === name);
}

/** Fix for a rejected Host: the name to use, or the setting that allows it. */
export function controlHostFix(host: string): string {
  return `${JSON.stringify(nameOf(host).slice(0, 255))} is no name of this listener. Use its address, or name it in control_hosts of the region file.`;
}

function nameOf(host: string): string {
  return (HOST_PORT.exec(host)?.[1] ?? '').toLowerCase().replace(/\.$/, '');
}

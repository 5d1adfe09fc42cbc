/**
 * Picks the host name that matches a host best: the exact one, else the longest `*.suffix`, else `*`.
 * @module
 */

/** A longer one is not a DNS name (RFC 1035, section 2.3.4), and its labels are not worth trying one by one. */
const MAX_NAME_CHARS = 253;

/**
 * @param entries - Host names as in `hosts`; of a name that occurs twice the first counts.
 * @returns For a host in lower case and without port, what belongs to it.
 */
export function hostTable<T>(entries: Iterable<readonly [host: string, value: T]>): (host: string) => T | undefined {
  const exact = new Map<string, T>();
  /** Keyed by what follows the star: `.example.com`. */
  const suffixes = new Map<string, T>();
  for (const [host, value] of entries) {
    const [table, key] = host.startsWith('*') ? [suffixes, host.slice(1)] : [exact, host];
    if (!table.has(key)) table.set(key, value);
  }
  const anyHost = suffixes.get('');
  const hasSuffixes = suffixes.size > (anyHost === undefined ? 0 : 1);

  return (host) => {
    const found = exact.get(host);
    if (found !== undefined || !hasSuffixes || host.length > MAX_NAME_CHARS) return found ?? anyHost;
    // From 1: a star stands for at least one character.
    for (let dot = host.indexOf('.', 1); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const value = suffixes.get(host.slice(dot));
      if (value !== undefined) return value;
    }
    return anyHost;
  };
}

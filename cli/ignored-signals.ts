/**
 * Signals that do nothing, from the moment in which this is imported. Node
 * would open a debugger without a password on SIGUSR1, for every user of the
 * machine, and end on SIGUSR2 (with `--disable-sigusr1` on SIGUSR1 as well).
 * SIGXFSZ comes with a write beyond the largest size of a file (`ulimit -f`),
 * which fails as on a full disk.
 * @module
 */

export const IGNORED_SIGNALS = ['SIGUSR1', 'SIGUSR2', 'SIGXFSZ'] as const;

for (const signal of IGNORED_SIGNALS) process.on(signal, () => undefined);

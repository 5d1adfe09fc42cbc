/**
 * Causes for which a node leaves out a target, another node or an origin server: the same names in log and metrics.
 * @module
 */

/** Each with its meaning, for docs and logs. */
export const LEFT_OUT_CAUSES = {
  silent: 'a heartbeat or check was not answered in time',
  unreachable: 'a heartbeat or check was refused, or answered badly',
  failures: 'several requests in a row failed',
  errors: 'half of its responses were errors or broke off, while other servers did better',
  slow: 'another server answered first several times in a row',
  retry_after: 'a 503 said Retry-After',
} as const;

export type LeftOutCause = keyof typeof LEFT_OUT_CAUSES;

/**
 * Scores of other caches in the newest revision of the suite. Measured on one machine, each version as named; `run.ts
 * --proxy` scores any of them again.
 * @module
 */
import type { Kind } from './suite.ts';

export interface Peer {
  readonly name: string;
  /** Passed tests; more than one number where runs differed. */
  readonly passed: Readonly<Record<Kind, readonly number[]>>;
}

export const PEERS: readonly Peer[] = [
  { name: 'Traffic Server 9.2.9', passed: { required: [134, 133], optimal: [72], check: [45] } },
  { name: 'Apache httpd 2.4.71', passed: { required: [131], optimal: [68], check: [44] } },
  { name: 'Squid 5.7', passed: { required: [121], optimal: [58], check: [64] } },
  { name: 'Varnish 7.1.1', passed: { required: [119], optimal: [45], check: [27] } },
  { name: 'nginx 1.22.1', passed: { required: [100], optimal: [58], check: [18] } },
  { name: 'HAProxy 2.6.12', passed: { required: [89], optimal: [39], check: [33] } },
  { name: 'no proxy at all', passed: { required: [22], optimal: [0], check: [5] } },
];

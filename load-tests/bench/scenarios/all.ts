/** All scenarios, in the order in which they are run and shown. @module */
import type { Scenario } from '../scenario.ts';
import { idle, slow } from './connections.ts';
import { ALL_CORES } from './cores.ts';
import { HITS } from './hits.ts';
import { latency } from './latency.ts';
import { miss, mix } from './misses.ts';
import { peerHit, securePeerHit, stored } from './own.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...HITS,
  latency,
  slow,
  miss,
  peerHit,
  securePeerHit,
  mix,
  ...ALL_CORES,
  idle,
  stored,
];

/**
 * Purges that would not reach every node, though the config is otherwise valid.
 * @module
 */
import { controlUrls } from './control-urls.ts';
import type { ConfigProblem } from './problem.ts';
import type { RegionReading } from './read.ts';

/** @returns A warning for each site that may be purged by PURGE where the other nodes are not notified. */
export function purgeWarnings({ body, sites }: RegionReading): ConfigProblem[] {
  if (body === undefined) return [];
  const { edges, shields, shields_from } = body.config;
  const isAlone = edges.length === 1 && shields.length === 0 && shields_from.length === 0;
  if (controlUrls(body.config).length > 0 || isAlone) return [];
  return sites
    .filter(({ config: { purge_method } }) => purge_method.from.length + purge_method.token_sha256.length > 0)
    .map(({ source }) =>
      source.problem(
        ['purge_method'],
        'a PURGE purges only the process that gets it, as this network has no control node',
        'Say where the control node is in `purges.journal`, or give this region one with `control`.',
      ),
    );
}

/**
 * Settings of the certificates of nodes that contradict others.
 * @module
 */
import type { ConfigProblem } from './problem.ts';
import type { Placed, RegionBody } from './read.ts';

/** @returns A problem for each key that does not go with `tier_tls`, or with its absence. */
export function trustProblems({ config, source }: Placed<RegionBody>): ConfigProblem[] {
  const { tier_tls: tls, control, purges } = config;
  const wanted = tls === undefined ? 'http' : 'https';
  const journal = purges.journal.flatMap((url, index) => {
    if (url.startsWith(`${wanted}:`)) return [];
    const message = tls === undefined ? 'there is no `tier_tls`' : 'with `tier_tls` nodes connect by TLS only';
    const fix =
      tls === undefined
        ? 'Write http:// and the `listen` address of the control node, or add `tier_tls`.'
        : 'Write https:// and the `tier` address of the control node.';
    // One address may be written without a list.
    return [
      source.problem(purges.journal.length === 1 ? ['purges', 'journal'] : ['purges', 'journal', index], message, fix),
    ];
  });
  return [...journal, ...controlProblems(tls !== undefined, control, source), ...fileProblems({ config, source })];
}

function controlProblems(
  hasTls: boolean,
  control: RegionBody['control'],
  source: Placed<RegionBody>['source'],
): ConfigProblem[] {
  if (control === undefined || hasTls === (control.tier !== undefined)) return [];
  return hasTls
    ? [
        source.problem(
          ['control'],
          'with `tier_tls` it needs an address for nodes',
          'Add `tier: HOST:PORT` beside `listen`, which stays for operators.',
        ),
      ]
    : [source.problem(['control', 'tier'], 'there is no `tier_tls`', 'Remove it, or add `tier_tls`.')];
}

function fileProblems({ config, source }: Placed<RegionBody>): ConfigProblem[] {
  const { tier_tls: tls, edges, shields, control, dns } = config;
  const nodes = edges.length + shields.length + (control ? 1 : 0) + (dns ? 1 : 0);
  if (tls === undefined || nodes <= 1) return [];
  return (['cert_file', 'key_file'] as const).flatMap((key) =>
    tls[key].includes('{node}')
      ? []
      : [
          source.problem(
            ['tier_tls', key],
            'all nodes of the region would use this file, and each has its own',
            `Write \`{node}\` where the name of the node belongs: \`${key}: tls/{node}.${key === 'key_file' ? 'key' : 'pem'}\`.`,
          ),
        ],
  );
}

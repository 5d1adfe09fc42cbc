/**
 * Text of the launcher: the addresses of the demo, and commands to try.
 * @module
 */
import type { ReadyNode } from '../ready.ts';
import type { EtcdMember } from './etcd.ts';

/** A running node of the demo network. */
export interface GuideNode extends ReadyNode {
  readonly region: string;
  readonly pid: number;
}

interface Trial {
  /** Effect of the command. */
  readonly shows: string;
  readonly commands: readonly string[];
}

/** One line for each answer: status, age, and what each tier did. */
const ASK = `ask() { curl -so /dev/null -w '%{http_code}  Age: %header{age}  %header{cache-status}\\n' "$@"; }`;

export interface GuideOptions {
  readonly nodes: readonly GuideNode[];
  readonly originUrl: string;
  readonly isOwnSite: boolean;
  /** Members of etcd, if the control nodes share one. */
  readonly etcd: readonly EtcdMember[];
  /** Region file of the first control node. */
  readonly file: string;
  /** Folder of the authority (`ca`) and of the nodes' certificates (`tls`). */
  readonly folder: string;
}

/** @returns The table of addresses, and commands to copy. */
export function guide({ nodes, originUrl, isOwnSite, etcd, file, folder }: GuideOptions): string {
  const edges = nodes.filter(({ role }) => role === 'edge');
  const trials = [
    { shows: 'Once, so that the others are short: says how a request was answered.', commands: [ASK] },
    hitTrial(edges),
    ...(isOwnSite ? [] : demoTrials(edges, originUrl)),
    ...operatorTrials(nodes, edges),
    ...trustTrials(nodes, edges, folder),
    ...(etcd.length > 0 ? replicaTrials(nodes, etcd, file) : []),
  ];
  return [
    '',
    `Seawall is running: ${edges.length} edges in ${new Set(edges.map(({ region }) => region)).size} regions, a shield, an origin.`,
    '',
    ...table([
      ['node', 'role', 'region', 'for visitors', 'control', 'pid'],
      ...nodes.map(({ name, role, region, listen, control, pid }) => [
        name,
        role,
        region,
        listen === undefined ? '' : `http://${listen}`,
        control === undefined ? '' : `http://${control}`,
        String(pid),
      ]),
      ...etcd.map(({ name, address, pid }) => [name, 'etcd', '', '', `http://${address}`, String(pid)]),
      ['origin', isOwnSite ? 'your site' : 'demo site', '', originUrl, '', isOwnSite ? '' : String(process.pid)],
    ]),
    '',
    `Open http://${edges[0]?.listen}/ in a browser, or try in another terminal:`,
    ...trials.flatMap(({ shows, commands }) => ['', `  # ${shows}`, ...commands.map((command) => `  ${command}`)]),
    '',
    'Ctrl-C stops everything.',
    '',
  ].join('\n');
}

function hitTrial(edges: readonly GuideNode[]): Trial {
  const ask = `ask http://${edges[0]?.listen}/`;
  return {
    shows: 'The first answer comes from the origin, the second from memory: a hit, with its age.',
    commands: [`${ask}; ${ask}`],
  };
}

function operatorTrials(nodes: readonly GuideNode[], edges: readonly GuideNode[]): Trial[] {
  const [edge, other] = edges;
  const control = nodes.find(({ role }) => role === 'control');
  return [
    { shows: 'What an edge counts.', commands: [`curl -s http://${edge?.control}/metrics | grep '^seawall_'`] },
    {
      shows: `Kill ${other?.name}: ${edge?.name} goes on, for the keys of ${other?.name} too.`,
      commands: [`kill -9 ${other?.pid}; for i in 1 2 3 4 5 6; do ask "http://${edge?.listen}/?page=$i"; done`],
    },
    { shows: 'Which nodes answer.', commands: [`curl -s http://${control?.control}/v1/nodes`] },
  ];
}

function trustTrials(nodes: readonly GuideNode[], edges: readonly GuideNode[], folder: string): Trial[] {
  const [edge] = edges;
  const other = edges.at(-1);
  const control = nodes.find(({ role }) => role === 'control');
  return [
    {
      shows: `Nodes know each other by certificates. Revoke that of ${other?.name}: after some seconds no node talks to it.`,
      commands: [
        `cli/seawall ca revoke ${folder}/ca ${other?.name} && cp ${folder}/ca/revoked.pem ${folder}/tls/`,
        `sleep 8; curl -s http://${control?.control}/metrics | grep node_refusals; ask http://${edge?.listen}/`,
      ],
    },
  ];
}

function replicaTrials(nodes: readonly GuideNode[], etcd: readonly EtcdMember[], file: string): Trial[] {
  const [one, other] = nodes.filter(({ role }) => role === 'control');
  return [
    {
      shows: 'A token, which every control node knows. (This command has no use for the secret of the network.)',
      commands: [
        'export SEAWALL_TIER_SECRET=not-used-by-this-one',
        `export SEAWALL_TOKEN=$(cli/seawall token create ${file} --name me --all-sites --read)`,
      ],
    },
    {
      shows: `Kill ${one?.name} and ${etcd[0]?.name}: ${other?.name} purges, and every node has applied it.`,
      commands: [
        `kill -9 ${one?.pid} ${etcd[0]?.pid}; cli/seawall purge --control http://${other?.control} --everything`,
      ],
    },
  ];
}

function demoTrials(edges: readonly GuideNode[], originUrl: string): Trial[] {
  const edge = `http://${edges[0]?.listen}`;
  const everyEdge = edges.map(({ listen }) => `http://${listen}`).join(' ');
  return [
    {
      shows: '200 visitors on four edges ask for a page that takes 3 s: the origin counts one more /slow.',
      commands: [
        `(for i in $(seq ${Math.ceil(200 / edges.length)}); do for edge in ${everyEdge}; do curl -so /dev/null $edge/slow & done; done; wait); curl -s ${originUrl}/stats | grep slow`,
      ],
    },
    {
      shows: 'A hundred bytes from the middle of the film, cut from the copy at the edge.',
      commands: [`ask -r 1000000-1000099 ${edge}/media/day.webm`],
    },
    {
      shows: 'Two visitors, two answers: private ones are never kept.',
      commands: [`curl -s ${edge}/api/me ${edge}/api/me`],
    },
    {
      shows: 'The origin breaks, the page stays: after 5 s it is stale, and better than an error.',
      commands: [
        `ask ${edge}/fail; curl -sX POST ${edge}/fail/on; sleep 6; ask ${edge}/fail; curl -sX POST ${edge}/fail/off`,
      ],
    },
  ];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
}

/** The options of `npm run bench`. @module */
import { parseArguments } from '../../test/support/arguments.ts';
import { OptionError } from './errors.ts';
import type { Options, Scenario } from './scenario.ts';

export interface Settings extends Options {
  /** Names of scenarios; empty: all. */
  readonly only: readonly string[];
  /** Names of peers; undefined: all. */
  readonly peers: readonly string[] | undefined;
  readonly writeDocs: boolean;
  readonly action: 'run' | 'help' | 'show-configs' | 'list';
}

const DEFAULTS = { rounds: 10, seconds: 1, objects: 1_000_000, connections: 10_000 };

/** Limits of the options, so that a run ends. */
const BOUNDS: Readonly<Record<keyof typeof DEFAULTS, readonly [least: number, most: number]>> = {
  rounds: [1, 100],
  seconds: [1, 60],
  objects: [1_000, 10_000_000],
  connections: [10, 100_000],
};

export function helpText(scenarios: readonly Scenario[]): string {
  const list = scenarios.map(({ name, title }) => `  ${name.padEnd(16)} ${title}`).join('\n');
  return `Usage: npm run bench -- [options]

Seawall beside nginx, Varnish, HAProxy and Traffic Server, as far as they are
installed, on this machine: same origin, same objects, the server on processor 0,
load generator and origin on processor 1, in turn, round after round. Prints for
each scenario what a request costs each server, and the ratio of Seawall to it:
median (least–most) over the rounds. Everything stays on loopback, and ends with
the command.

Needs Linux and wrk; for some scenarios h2load (nghttp2-client), a C compiler,
openssl, taskset. On Debian:
  apt-get install wrk nghttp2-client gcc libc6-dev openssl nginx varnish haproxy trafficserver
The packages of servers may start one each, which is in the way: stop them.

A run of everything with the defaults takes about half an hour; it writes
load-tests/results/latest.json and latest.svg. A run of a part writes partial.json
and partial.svg instead.

Options:
  --only LIST       Scenarios, such as hit-browser,miss.
  --peers LIST      Servers beside Seawall: nginx,varnish,haproxy,trafficserver,floor,relay. By default
                    all.
  --rounds N        By default ${DEFAULTS.rounds}.
  --seconds N       Of each server in each round. By default ${DEFAULTS.seconds}.
  --objects N       Of the Zipf mix, and stored ones. By default ${DEFAULTS.objects}.
  --connections N   Idle ones. By default ${DEFAULTS.connections}.
  --write-docs      Write the tables into docs/performance.md as well (a run of everything only).
  --show-configs    Print what the servers are configured by, and nothing else.
  --list            Print the names of the scenarios.
  --help            Say this.

Scenarios:
${list}
`;
}

/** @throws {OptionError} for what is not an option, a number or a name. */
export function parseSettings(
  args: readonly string[],
  scenarios: readonly string[],
  peers: readonly string[],
): Settings {
  const defaults = { ...mapValues(DEFAULTS, String), only: '', peers: EVERY };
  const given = parseArguments(defaults, { args, flags: FLAGS }, (message) => {
    throw new OptionError(message);
  });
  const only = given.names('only', 'scenario', scenarios);
  const chosen = given.values.peers === EVERY ? undefined : given.names('peers', 'server', peers);
  const writeDocs = given.flags.has('write-docs');
  if (writeDocs && (only.length > 0 || chosen !== undefined)) {
    throw new OptionError('--write-docs needs a run of everything: leave --only and --peers out');
  }
  return {
    ...mapValues(BOUNDS, ([least, most], name) => given.whole(name, least, most)),
    only,
    peers: chosen,
    writeDocs,
    action: (['help', 'show-configs', 'list'] as const).find((name) => given.flags.has(name)) ?? 'run',
  };
}

/** Value of `--peers` by default; an empty list is none. */
const EVERY = '*';

const FLAGS = ['write-docs', 'show-configs', 'list', 'help'] as const;

function mapValues<Name extends string, Value, Result>(
  record: Readonly<Record<Name, Value>>,
  map: (value: Value, name: Name) => Result,
): Record<Name, Result> {
  const entries = Object.entries(record) as [Name, Value][];
  return Object.fromEntries(entries.map(([name, value]) => [name, map(value, name)])) as Record<Name, Result>;
}

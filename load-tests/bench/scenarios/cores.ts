/** Hits by several threads or workers, which have the whole machine. @module */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom, zipf } from '../../../test/support/random.ts';
import { BenchError } from '../errors.ts';
import { missing, type Requests, type Seen, wrk } from '../loads.ts';
import { checkSeen, measuresOf, whileUsed } from '../measure.ts';
import { temporaryFolder } from '../processes.ts';
import { BROWSER, headOf, KILOBYTE, objectPath } from '../requests.ts';
import type { Scenario } from '../scenario.ts';
import { seawall } from '../seawall.ts';
import type { Server, ServerKind } from '../server.ts';
import { fill } from '../stage.ts';

const CONNECTIONS = 64;
const WARM_UP_SECONDS = 3;
const OBJECTS = 20_000;
const DRAWS = { count: 1_000_000, exponent: 1, seed: 20_260_202 };
/** Requests for each object before it is measured: all are stored then, whichever thread has them. */
const FILLS = 6;

/** Servers that can be given so many threads. */
const TAKE_PART: ReadonlySet<string> = new Set(['seawall', 'nginx', 'haproxy', 'varnish']);

let draws: { readonly zipf: string; readonly each: string } | undefined;

function files(): { readonly zipf: string; readonly each: string } {
  if (draws === undefined) {
    const folder = temporaryFolder('cores');
    draws = { zipf: join(folder, 'zipf'), each: join(folder, 'each') };
    const draw = zipf(OBJECTS, DRAWS.exponent, seededRandom(DRAWS.seed));
    writeFileSync(draws.zipf, Uint32Array.from({ length: DRAWS.count }, draw));
    writeFileSync(
      draws.each,
      Uint32Array.from({ length: OBJECTS }, (_, i) => i),
    );
  }
  return draws;
}

function kindsOf(compared: readonly ServerKind[]): readonly ServerKind[] {
  const one = seawall({ name: 'seawall-one', title: 'Seawall, one thread', threads: 1 });
  return [...compared.filter(({ name }) => TAKE_PART.has(name)), one];
}

interface AllCores {
  readonly kind: 'hit' | 'zipf';
  readonly threads: number;
  readonly about: string;
}

function allCores({ kind, threads, about }: AllCores): Scenario {
  const name = `${kind}-all-cores-${threads}`;
  const load = (server: Server, seconds: number): Promise<Seen> => {
    const { port } = server;
    const requests: Requests =
      kind === 'hit'
        ? { kind: 'fixed', head: headOf(port, objectPath(KILOBYTE), BROWSER) }
        : {
            kind: 'ranks',
            head: headOf(port, objectPath(KILOBYTE, 'cores-@'), BROWSER),
            file: files().zipf,
            offset: 0,
          };
    return wrk({ port, seconds, connections: CONNECTIONS, requests });
  };
  return {
    name,
    title: `${kind === 'hit' ? '1 KB hit' : 'Zipf hits'}, ${threads} threads`,
    about,
    primary: 'cpuMicros',
    metrics: ['requestsPerSecond', 'p50Millis', 'p99Millis', 'othersPercent'],
    setup: { name: `all-cores-${threads}`, memoryMebibytes: 256, threads },
    needs: ['cache'],
    unavailable: missing.wrk,
    kinds: kindsOf,
    async prepare(server, { stage }) {
      await fill(server, stage, objectPath(KILOBYTE), KILOBYTE);
      if (kind === 'zipf') {
        const head = headOf(server.port, objectPath(KILOBYTE, 'cores-@'), BROWSER);
        const requests = { kind: 'ranks', head, file: files().each, offset: 0, most: FILLS * OBJECTS } as const;
        await wrk({ port: server.port, seconds: 120, connections: CONNECTIONS, requests });
      }
      checkSeen(await load(server, WARM_UP_SECONDS));
    },
    async measure(server, { stage, options }) {
      const before = await stage.counted();
      const { result, used } = await whileUsed([server.running.pid], () => load(server, options.seconds));
      const asked = (await stage.counted()) - before;
      if (asked > 0) throw new BenchError(`the origin was asked ${asked} times: these were no hits`);
      return measuresOf(result, used);
    },
  };
}

const WHERE =
  'nginx, HAProxy and Varnish have as many workers or threads; all have the whole machine, of which one processor is also that of the load. Beside them Seawall with one thread.';

export const ALL_CORES: readonly Scenario[] = [2, 4].flatMap((threads) => [
  allCores({ kind: 'hit', threads, about: `One object of 1 KB from memory, ${threads} threads. ${WHERE}` }),
  allCores({
    kind: 'zipf',
    threads,
    about: `20,000 objects of 1 KB, all of them in memory, asked for by Zipf’s law (exponent 1), ${threads} threads. ${WHERE}`,
  }),
]);

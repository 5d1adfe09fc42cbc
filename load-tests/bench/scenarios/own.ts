/** Scenarios for Seawall alone: a region of two edges; a million objects. @module */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../../../test/support/random.ts';
import { BenchError } from '../errors.ts';
import { askInside } from '../inside.ts';
import { missing, wrk } from '../loads.ts';
import { checkSeen, measuresOf, whileUsed } from '../measure.ts';
import { threadMicros } from '../proc.ts';
import { removeFolder, temporaryFolder } from '../processes.ts';
import { BROWSER, headOf, KILOBYTE, objectPath } from '../requests.ts';
import type { Scenario } from '../scenario.ts';
import { type Pair, seawall, startPair, type Variant } from '../seawall.ts';
import type { Server, ServerKind } from '../server.ts';
import { ask, type OpenStage } from '../stage.ts';

const CONNECTIONS = 64;
const WARM_UP_SECONDS = 2;

const pairs = new WeakMap<Server, { readonly pair: Pair; path: string }>();

/** Names that are tried until one belongs to the other edge: half of them do. */
const CANDIDATES = 64;

const atOwner: Omit<Scenario, 'name' | 'title' | 'about' | 'kinds' | 'ours'> = {
  primary: 'cpuMicros',
  metrics: ['askedCpuMicros', 'ownerCpuMicros', 'requestsPerSecond', 'p50Millis', 'p99Millis', 'othersPercent'],
  setup: { name: 'pair', memoryMebibytes: 256 },
  needs: ['cache'],
  unavailable: missing.wrk,
  async prepare(server, { stage }) {
    const path = await ownedElsewhere(server, stage);
    const { pair } = pairOf(server);
    pairs.set(server, { pair, path });
    const requests = { kind: 'fixed', head: headOf(server.port, path, BROWSER) } as const;
    checkSeen(await wrk({ port: server.port, seconds: WARM_UP_SECONDS, connections: CONNECTIONS, requests }));
  },
  async measure(server, { stage, options: { seconds } }) {
    const { pair, path } = pairOf(server);
    const requests = { kind: 'fixed', head: headOf(server.port, path, BROWSER) } as const;
    const [asked, owner] = [pair.asked.pid, pair.owner.pid];
    const [before, ownerBefore] = [await stage.counted(), threadMicros(owner)];
    const work = () => wrk({ port: server.port, seconds, connections: CONNECTIONS, requests });
    const { result, used } = await whileUsed([asked, owner], work);
    if ((await stage.counted()) > before) throw new BenchError('the origin was asked: these were no hits');
    const ownerCpuMicros = (threadMicros(owner) - ownerBefore) / result.requests;
    const measures = measuresOf(result, used);
    return { ...measures, ownerCpuMicros, askedCpuMicros: (measures.cpuMicros ?? 0) - ownerCpuMicros };
  },
};

const ABOUT =
  'Two edges of a region in two processes on the same processor: one is asked for an object that the other owns, and keeps no copy itself. Processor time of both together.';

export const peerHit: Scenario = {
  ...atOwner,
  name: 'hit-at-owner',
  title: '1 KB hit at the owner, through another edge',
  about: ABOUT,
  kinds: () => [twoEdges({ name: 'seawall', title: 'Seawall, two edges' })],
  ours: (variant) => twoEdges(variant),
};

export const securePeerHit: Scenario = {
  ...atOwner,
  name: 'hit-at-owner-tls',
  title: '1 KB hit at the owner, through another edge, on a TLS connection with certificates on both sides',
  about: `${ABOUT} Beside the same without certificates.`,
  kinds: () => [
    securedEdges({ name: 'seawall', title: 'Seawall, two edges with certificates' }),
    twoEdges({ name: 'seawall-plain', title: 'Seawall, two edges with a secret' }),
  ],
  ours: securedEdges,
};

function securedEdges(variant: Variant): ServerKind {
  return twoEdges(variant, true);
}

function twoEdges({ name, title, root }: Variant, hasCertificates = false): ServerKind {
  const { version } = seawall();
  return {
    name,
    title,
    version,
    abilities: new Set(['cache']),
    configs: () => ({}),
    async start({ originPort }, { memoryMebibytes }) {
      const pair = await startPair(originPort, { memoryMebibytes, root, hasCertificates });
      const server: Server = {
        kind: this,
        running: pair.asked,
        port: pair.port,
        tlsPort: undefined,
        stop: () => pair.stop(),
      };
      pairs.set(server, { pair, path: '' });
      return server;
    },
  };
}

function pairOf(server: Server): { readonly pair: Pair; path: string } {
  const pair = pairs.get(server);
  if (!pair) throw new Error('not a pair');
  return pair;
}

/** @returns A path that the edge that is asked has always from the other one, and that one has itself. */
async function ownedElsewhere({ port }: Server, stage: OpenStage): Promise<string> {
  for (let i = 0; i < CANDIDATES; i += 1) {
    const path = objectPath(KILOBYTE, `owned-${i}`);
    await ask({ port, path });
    const before = await stage.counted();
    const { headers } = await ask({ port, path });
    const isAnswered = (await stage.counted()) === before;
    const members = String(headers['cache-status'] ?? '').split(',');
    const [first = '', second = ''] = members;
    if (isAnswered && members.length === 2 && /^"owner";hit/.test(first.trim()) && /^ *"asked"/.test(second))
      return path;
  }
  throw new BenchError('no object was found that belongs to the other edge');
}

/** Memory budget for responses; entries take more than objects and their headers. */
const MEMORY_MEBIBYTES = 6_144;

const FILL = { connections: 64, seconds: 600 };

/** While stalls are measured: hits on all that is stored, and new objects besides. */
const LOAD = { seconds: 10, draws: 1_000_000, seed: 4, connections: { hits: 48, misses: 16 } };

const folders = new WeakMap<ServerKind, string>();

export const stored: Scenario = {
  name: 'stored-objects',
  title: '1,000,000 objects of 1 KB stored',
  about:
    'Memory that each stored object takes beyond its body and its header section as the origin sent them: growth of resident memory, and of what is alive after a garbage collection. Then the longest stall of the event loop (`perf_hooks`’ `monitorEventLoopDelay` inside the process) in ten seconds of hits and misses on top of them, and how much of that was processor time of the main thread itself: the rest of it others had the core, V8’s own helpers among them.',
  primary: 'overheadBytes',
  metrics: [
    'heapOverheadBytes',
    'bytesPerObject',
    'objects',
    'stallMillis',
    'stallOwnMillis',
    'stallP99Millis',
    'othersPercent',
  ],
  setup: { name: 'stored', memoryMebibytes: MEMORY_MEBIBYTES },
  needs: ['cache'],
  rounds: () => 1,
  unavailable: missing.wrk,
  kinds: () => [watched()],
  async prepare(server) {
    const head = headOf(server.port, objectPath(KILOBYTE), BROWSER);
    const requests = { kind: 'fixed', head } as const;
    checkSeen(await wrk({ port: server.port, seconds: WARM_UP_SECONDS, connections: CONNECTIONS, requests }));
  },
  async measure(server, { stage, options }) {
    const { pid } = server.running;
    const folder = folders.get(server.kind) ?? '';
    const look = (question: 'collect' | 'read' | 'reset') => askInside(pid, folder, question);
    const head = headOf(server.port, objectPath(KILOBYTE, 'stored-@'), BROWSER);
    const before = await look('collect');
    const counted = await stage.counted();
    const all = { kind: 'each', head, prefix: '', most: options.objects } as const;
    checkSeen(await wrk({ port: server.port, ...FILL, requests: all }));
    const objects = (await stage.counted()) - counted;
    const after = await look('collect');
    const own = await ask({ port: stage.originPort, path: objectPath(KILOBYTE, 'stored-1') });
    const ownBytes = KILOBYTE + own.headBytes;
    const bytesPerObject = (after.residentBytes - before.residentBytes) / objects;
    const { result, used } = await whileUsed([pid], () => underLoad(server.port, head, objects, look));
    return {
      objects,
      bytesPerObject,
      overheadBytes: bytesPerObject - ownBytes,
      heapOverheadBytes: (after.liveBytes - before.liveBytes) / objects - ownBytes,
      stallMillis: result.stallMaxMillis,
      stallOwnMillis: result.stallOwnMillis,
      stallP99Millis: result.stallP99Millis,
      ...(used.othersPercent === undefined ? {} : { othersPercent: used.othersPercent }),
    };
  },
};

type Look = (question: 'read' | 'reset') => ReturnType<typeof askInside>;

async function underLoad(port: number, head: string, objects: number, look: Look): ReturnType<typeof askInside> {
  const file = join(temporaryFolder('draws'), 'stored');
  const random = seededRandom(LOAD.seed);
  writeFileSync(
    file,
    Uint32Array.from({ length: LOAD.draws }, () => 1 + Math.floor(random() * objects)),
  );
  const { seconds, connections } = LOAD;
  await look('reset');
  const [hits, misses] = await Promise.all([
    wrk({ port, seconds, connections: connections.hits, requests: { kind: 'ranks', head, file, offset: 0 } }),
    wrk({ port, seconds, connections: connections.misses, requests: { kind: 'each', head, prefix: 'more-' } }),
  ]);
  checkSeen(hits);
  checkSeen(misses);
  return look('read');
}

function watched(): ServerKind {
  const watch = join(import.meta.dirname, '../watch.ts');
  const folder = temporaryFolder('watch');
  const kind = seawall({
    name: 'seawall',
    title: 'Seawall',
    nodeFlags: ['--expose-gc', '--import', watch],
    env: { SEAWALL_BENCH_WATCH: folder },
  });
  const withFolder: ServerKind = {
    ...kind,
    async start(stage, setup) {
      const server = await kind.start(stage, setup);
      return {
        ...server,
        kind: withFolder,
        async stop() {
          await server.stop();
          removeFolder(folder);
        },
      };
    },
  };
  folders.set(withFolder, folder);
  return withFolder;
}

/** Hits: the same object again and again, from memory. @module */

import { once } from 'node:events';
import { connect } from 'node:tls';
import { BenchError } from '../errors.ts';
import { h2load, type Load, missing, type Seen, wrk } from '../loads.ts';
import { checkSeen, measuresOf, whileUsed } from '../measure.ts';
import { BROWSER, etagOf, HUNDRED_KILOBYTES, headOf, KILOBYTE, objectPath, TEN_MEGABYTES } from '../requests.ts';
import type { Context, Scenario } from '../scenario.ts';
import { seawall } from '../seawall.ts';
import type { Server } from '../server.ts';
import { ask, fill } from '../stage.ts';

const SETUP = { name: 'hits', memoryMebibytes: 256 };
const SHOWN = ['requestsPerSecond', 'p50Millis', 'p99Millis', 'othersPercent'] as const;

/** Long enough for a just-in-time compiler to be done. */
const WARM_UP_SECONDS = 2;

interface Hit {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly bytes: number;
  readonly connections: number;
  readonly fields?: readonly string[];
  readonly change?: Partial<Scenario>;
}

function hit({ name, title, about, bytes, connections, fields = [], change }: Hit): Scenario {
  const path = objectPath(bytes);
  const load = (server: Server, seconds: number): Load => ({
    port: portOf(server, name === 'hit-tls'),
    scheme: name === 'hit-tls' ? 'https' : 'http',
    seconds,
    connections,
    requests: { kind: 'fixed', head: headOf(portOf(server, name === 'hit-tls'), path, fields) },
  });
  return {
    name,
    title,
    about,
    primary: 'cpuMicros',
    metrics: SHOWN,
    setup: SETUP,
    needs: ['cache'],
    unavailable: missing.wrk,
    async prepare(server, { stage }) {
      await fill(server, stage, path, bytes);
      checkSeen(await wrk(load(server, WARM_UP_SECONDS)));
    },
    async measure(server, { stage, options }) {
      const before = await stage.counted();
      const { result, used } = await whileUsed([server.running.pid], () => wrk(load(server, options.seconds)));
      const asked = (await stage.counted()) - before;
      // Over TLS an object of its own may have been fetched while it was warmed up; from then on nothing is.
      if (asked > 0) throw new BenchError(`the origin was asked ${asked} times: these were no hits`);
      return measuresOf(result, used);
    },
    ...change,
  };
}

function portOf(server: Server, tls: boolean): number {
  const port = tls ? server.tlsPort : server.port;
  if (port === undefined) throw new BenchError('it has no TLS here: there is no openssl to make a certificate');
  return port;
}

const notModified = hit({
  name: 'not-modified',
  title: '304, a browser’s headers',
  about: 'A browser asks whether its copy of the 1 KB object is still good (If-None-Match), and it is.',
  bytes: KILOBYTE,
  connections: 64,
  fields: [...BROWSER, `If-None-Match: ${etagOf(KILOBYTE)}`],
});

const overTls = hit({
  name: 'hit-tls',
  title: '1 KB hit over TLS 1.3',
  about: 'As the first, over TLS 1.3 with connections that stay open; HTTP/1.1.',
  bytes: KILOBYTE,
  connections: 64,
  fields: BROWSER,
});

const HTTP2 = { connections: 32, streams: 10 };

export const HITS: readonly Scenario[] = [
  hit({
    name: 'hit-browser',
    title: '1 KB hit, a browser’s headers',
    about: 'One object of 1 KB from memory, 64 connections that stay open, the ten header fields that Firefox sends.',
    bytes: KILOBYTE,
    connections: 64,
    fields: BROWSER,
    change: {
      needs: ['cache', 'fixed'],
      kinds: (compared) => [
        ...compared,
        seawall({
          name: 'seawall-log',
          title: 'Seawall, access log on',
          needs: ['--access-log'],
          options: (folder) => ['--access-log', `${folder}/access.log`],
        }),
      ],
    },
  }),
  hit({
    name: 'hit-bare',
    title: '1 KB hit, no headers',
    about: 'The same with nothing but Host.',
    bytes: KILOBYTE,
    connections: 64,
    change: { needs: ['cache', 'fixed'] },
  }),
  hit({
    name: 'hit-100k',
    title: '100 KB hit',
    about: 'One object of 100 KB, 32 connections.',
    bytes: HUNDRED_KILOBYTES,
    connections: 32,
    fields: BROWSER,
    change: { metrics: ['requestsPerSecond', 'gigabytesPerSecond', 'p50Millis', 'p99Millis', 'othersPercent'] },
  }),
  hit({
    name: 'hit-10m',
    title: '10 MB hit',
    about: 'One object of 10 MB, 8 connections.',
    bytes: TEN_MEGABYTES,
    connections: 8,
    fields: BROWSER,
    change: {
      primary: 'gigabytesPerSecond',
      metrics: ['cpuMicros', 'requestsPerSecond', 'p50Millis', 'p99Millis', 'othersPercent'],
    },
  }),
  {
    ...notModified,
    setup: { ...SETUP, name: 'not-modified', is304Bare: true },
    async prepare(server, context) {
      await notModified.prepare(server, context);
      const headers = { 'If-None-Match': etagOf(KILOBYTE) };
      const { status } = await ask({ port: server.port, path: objectPath(KILOBYTE), headers });
      if (status !== 304) throw new BenchError(`answers ${status} to a condition that holds`);
    },
  },
  {
    ...overTls,
    needs: ['tls'],
    async prepare(server, context) {
      const protocol = await protocolOf(portOf(server, true));
      if (protocol !== 'TLSv1.3 http/1.1') throw new BenchError(`speaks ${protocol}`);
      await overTls.prepare(server, context);
    },
  },
  {
    name: 'hit-http2',
    title: '1 KB hit over HTTP/2',
    about: 'The same object over TLS 1.3 and HTTP/2: 32 connections with ten streams each at a time (h2load).',
    primary: 'cpuMicros',
    metrics: SHOWN,
    setup: SETUP,
    needs: ['http2'],
    unavailable: missing.h2load,
    async prepare(server, { stage }) {
      await fill(server, stage, objectPath(KILOBYTE), KILOBYTE);
      await overHttp2(server, WARM_UP_SECONDS);
    },
    async measure(server, { options }: Context) {
      const work = () => overHttp2(server, options.seconds);
      const { result, used } = await whileUsed([server.running.pid], work);
      return measuresOf(result, used);
    },
  },
];

function overHttp2(server: Server, seconds: number): Promise<Seen> {
  const headers = BROWSER.filter((field) => !field.startsWith('Connection:'));
  const port = portOf(server, true);
  return h2load({ port, path: objectPath(KILOBYTE), seconds, headers, ...HTTP2 });
}

/** @returns For example `TLSv1.3 http/1.1`. */
async function protocolOf(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
  try {
    await once(socket, 'secureConnect');
    return `${socket.getProtocol()} ${socket.alpnProtocol || 'http/1.1'}`;
  } finally {
    socket.destroy();
  }
}

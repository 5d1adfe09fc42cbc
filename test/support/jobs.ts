/**
 * A network of two regions with a shield and a control node, for jobs.
 * @module
 */
import { join } from 'node:path';
import type { Test } from 'tap';
import { regionSchema, siteSchema } from '../../config/schema.ts';
import { openControlDatabase } from '../../control/data-folder.ts';
import type { JobAnswer } from '../../control/jobs/schemas.ts';
import { type ControlNode, startControl } from '../../control/node.ts';
import { SqliteTokens } from '../../control/store/sqlite-tokens.ts';
import { JOB, newToken, SCOPE_KINDS } from '../../control/tokens.ts';
import { wallNow } from '../../lib/clock.ts';
import { createLog } from '../../telemetry/log.ts';
import { type Network, type NetworkOptions, SECRET, startNetwork } from './network.ts';
import { type Origin, type Script, startOrigin } from './origin.ts';
import { HOST } from './visitor.ts';

const log = createLog({ name: 'journey', level: 'silent' });

export interface JobStage {
  readonly network: Network;
  readonly origin: Origin;
  readonly control: ControlNode;
  /** Text of a token that may do everything. */
  readonly token: string;
  call<Answer = JobAnswer>(path: string, body?: object): Promise<Answer>;
  /** Starts a job, and resolves when it has ended. */
  run(urls: readonly string[], more?: object): Promise<JobAnswer>;
  ended(id: string): Promise<JobAnswer>;
  lines(id: string, query?: string): Promise<Record<string, unknown>[]>;
}

export async function jobStage(t: Test, script: Script, options: Partial<NetworkOptions> = {}): Promise<JobStage> {
  const origin = await startOrigin(script);
  t.teardown(() => origin.close());
  const regions = { eu: 2, us: 2 };
  const file = join(t.testdir({}), 'eu.yaml');
  const site = siteSchema.parse({ name: 'site', hosts: [HOST], origin: { servers: [{ url: origin.url }] } });
  const configs = Object.entries(regions).map(([region, count], index) => {
    const parsed = regionSchema.parse({
      region,
      tier_secret: SECRET,
      edges: Array.from({ length: count }, (_, i) => ({
        name: `${region}-${i + 1}`,
        listen: '127.0.0.1:0',
        tier: '127.0.0.1:0',
      })),
      ...(index === 0 && {
        shields: [{ name: 'shield-1', tier: '127.0.0.1:0' }],
        control: { listen: '127.0.0.1:0', jobs: { lease: '1s' } },
      }),
      sites: [{ include: 'site.yaml' }],
    });
    return { ...parsed, file: index === 0 ? file : 'us.yaml', sites: [site], reachableShields: [] };
  });
  const [main] = configs;
  if (main?.control === undefined) throw new Error('no control node');
  const control = await startControl({ region: main, control: main.control, regions: configs, log });
  t.teardown(() => control.close());
  const database = openControlDatabase(join(t.testdirName, 'seawall-data', 'control.sqlite'));
  const { stored, text } = newToken(
    { name: 'test', sites: ['*'], kinds: [...SCOPE_KINDS, JOB], read: true },
    wallNow(),
  );
  await new SqliteTokens(database).add(stored);
  database.close();
  const network = await startNetwork({ origin: origin.url, journal: control.address, regions, ...options });
  t.teardown(() => network.close());
  const fetched = (path: string, body?: object): Promise<Response> =>
    fetch(`http://${control.address}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${text}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  const call = async <Answer = JobAnswer>(path: string, body?: object): Promise<Answer> =>
    (await (await fetched(path, body)).json()) as Answer;
  const lines = async (id: string, query = ''): Promise<Record<string, unknown>[]> => {
    const answer = await (await fetched(`/v1/jobs/${id}/results${query}`)).text();
    return answer
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  // A first purge, of nothing: what nodes store before they follow the journal is asked for again.
  const followed = await call('/v1/purges', { files: [urlOf('/none')], wait: 'applied', timeout_seconds: 20 });
  if (followed.state !== undefined || (followed as { status?: string }).status !== 'applied')
    throw new Error('journal');
  const ended = async (id: string): Promise<JobAnswer> => {
    await lines(id, '?follow=true'); // ends with the job
    return call(`/v1/jobs/${id}`);
  };
  return {
    network,
    origin,
    control,
    token: text,
    call,
    lines,
    ended,
    run: async (urls, more = {}) => {
      const made = await call('/v1/jobs', { kind: 'warm', urls, rate: 1_000, ...more });
      if (made.id === undefined) throw new Error(JSON.stringify(made));
      return ended(made.id);
    },
  };
}

/** Origin whose answers live for an hour. */
export const STORED: Script = ({ url }, response) => {
  response.writeHead(200, { 'Cache-Control': 'max-age=3600' }).end(`content of ${url}`);
};

export const urlOf = (path: string): string => `http://${HOST}${path}`;

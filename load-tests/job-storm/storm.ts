/**
 * Processes of the job storm, what is done to them, and what is counted.
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import type { JobAnswer } from '../../control/jobs/schemas.ts';
import { JOB, SCOPE_KINDS } from '../../control/tokens.ts';
import { makeToken, type NodeProcess, startNode, temporaryFolder } from '../../test/support/node-processes.ts';
import { freePorts } from '../../test/support/ports.ts';

export interface JobStormOptions {
  readonly urls: number;
  readonly kills: number;
}

export interface JobStormOutcome {
  readonly rate: number;
  readonly results: number;
  readonly failed: number;
  readonly askedUrls: number;
  readonly askedTimes: number;
  readonly storedAtShield: number;
  readonly askedLater: number;
  readonly workersKilled: number;
  readonly controlsKilled: number;
  readonly stepsLost: number;
  readonly seconds: number;
}

const HOST = 'storm.test';
const RATE = 1_000;
const SECRET = 'only-for-the-job-storm-of-this-machine';
const LOOK_MS = 50;
/** A job that takes longer has failed. */
const PATIENCE_MS = 280_000;

export async function jobStorm({ urls, kills }: JobStormOptions): Promise<JobStormOutcome> {
  const asked = new Map<string, number>();
  const origin = createServer((request, response) => {
    asked.set(request.url ?? '', (asked.get(request.url ?? '') ?? 0) + 1);
    response.writeHead(200, { 'Cache-Control': 'max-age=86400', 'Content-Type': 'text/plain' });
    response.end(`content of ${request.url}\n`);
  });
  const ports = await freePorts(9);
  const [originPort = 0, controlPort = 0, ...rest] = ports;
  await new Promise<void>((resolve) => origin.listen(originPort, '127.0.0.1', () => resolve()));
  const folder = temporaryFolder();
  const files = regionFile({ originPort, controlPort, ports: rest });
  const homeOf = (name: string): string => {
    const home = join(folder, name);
    mkdirSync(home);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(home, file), text);
    return home;
  };
  const controlHome = homeOf('control');
  const token = makeToken(controlHome, [...SCOPE_KINDS, JOB]);
  const names = ['control', 'shield-1', 'eu-1', 'eu-2'] as const;
  const start = (name: string): Promise<NodeProcess> => startNode(name, [join(folder, name, 'eu.yaml')]);
  for (const name of names.slice(1)) homeOf(name);
  const running = new Map<string, NodeProcess>();
  for (const name of names) running.set(name, await start(name));

  const api = `http://127.0.0.1:${controlPort}`;
  const call = async <Answer>(path: string, body?: object): Promise<Answer> => {
    for (;;) {
      try {
        const response = await fetch(`${api}${path}`, {
          method: body === undefined ? 'GET' : 'POST',
          headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
          ...(body && { body: JSON.stringify(body) }),
        });
        const text = await response.text();
        if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
        return JSON.parse(text) as Answer;
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        await sleep(LOOK_MS); // the control node is being started again
      }
    }
  };
  const kill = async (name: string): Promise<void> => {
    await running.get(name)?.kill();
    running.set(name, await start(name));
  };

  const startedAt = performance.now();
  const list = Array.from({ length: urls }, (_, index) => `http://${HOST}/${index}`);
  const made = await call<JobAnswer>('/v1/jobs', { kind: 'warm', urls: list, rate: RATE });
  const look = (): Promise<JobAnswer> => call<JobAnswer>(`/v1/jobs/${made.id}`);
  let workersKilled = 0;
  let controlsKilled = 0;
  let stepsLost = 0;
  let answer = made;
  for (; answer.ended === null; answer = await look()) {
    await sleep(LOOK_MS);
    if (performance.now() - startedAt > PATIENCE_MS) throw new Error(`the job does not end: ${JSON.stringify(answer)}`);
    const part = answer.done / answer.total;
    const worker = answer.regions[0]?.node;
    if (workersKilled < kills && part >= (workersKilled + 0.5) / (kills + 1) && worker) {
      workersKilled += 1;
      await kill(worker);
    } else if (controlsKilled < kills - 1 && part >= (controlsKilled + 1) / (kills + 1)) {
      stepsLost += await lostSteps(api);
      controlsKilled += 1;
      await kill('control');
    }
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  stepsLost += await lostSteps(api);
  const [askedUrls, askedTimes] = [asked.size, sumOf(asked)];
  const results = await resultsOf(api, token, made.id);
  const storedAtShield = await metric(`http://127.0.0.1:${rest[6]}`, 'seawall_cache_keys');
  await visitAll(`http://127.0.0.1:${rest[0]}`, urls);
  return {
    rate: RATE,
    results,
    failed: answer.counts.failed,
    askedUrls,
    askedTimes,
    storedAtShield,
    askedLater: sumOf(asked) - askedTimes,
    workersKilled,
    controlsKilled,
    stepsLost,
    seconds,
  };
}

function sumOf(asked: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const times of asked.values()) sum += times;
  return sum;
}

/** Distinct URLs that have a result. */
async function resultsOf(api: string, token: string, id: string): Promise<number> {
  const response = await fetch(`${api}/v1/jobs/${id}/results`, { headers: { authorization: `Bearer ${token}` } });
  const lines = (await response.text()).split('\n').filter((line) => line !== '');
  return new Set(lines.map((line) => (JSON.parse(line) as { url: string }).url)).size;
}

async function lostSteps(api: string): Promise<number> {
  return metric(api, 'seawall_job_steps_total', 'end="lost"').catch(() => 0);
}

async function metric(url: string, name: string, label = ''): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Asks for each URL once, as a visitor of one edge. */
async function visitAll(edge: string, urls: number): Promise<void> {
  const agent = new Agent({ connections: 16 });
  let next = 0;
  const visit = async (): Promise<void> => {
    while (next < urls) {
      const path = `/${next++}`;
      const { statusCode, body } = await agent.request({ origin: edge, path, method: 'GET', headers: { host: HOST } });
      const text = await body.text();
      if (statusCode !== 200 || text !== `content of ${path}\n`) throw new Error(`${path}: ${statusCode} ${text}`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, visit));
  await agent.close();
}

interface Ports {
  readonly originPort: number;
  readonly controlPort: number;
  readonly ports: readonly number[];
}

function regionFile({ originPort, controlPort, ports }: Ports): Record<string, string> {
  const [listen1, tier1, listen2, tier2, shield, , shieldControl] = ports;
  const local = (port: number | undefined): string => `127.0.0.1:${port}`;
  return {
    'eu.yaml': `
region: eu
tier_secret: ${SECRET}
memory: 128MiB
edges:
  - { name: eu-1, workers: 1, listen: "${local(listen1)}", tier: "${local(tier1)}" }
  - { name: eu-2, workers: 1, listen: "${local(listen2)}", tier: "${local(tier2)}" }
shields:
  - { name: shield-1, tier: "${local(shield)}", control: "${local(shieldControl)}" }
control: { listen: "${local(controlPort)}", jobs: { lease: 2s } }
sites:
  - include: site.yaml
`,
    'site.yaml': `
name: storm
hosts: [${HOST}]
origin:
  servers: [{ url: "http://127.0.0.1:${originPort}" }]
`,
  };
}

/**
 * Control node by script, for clients of jobs.
 * @module
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { Test } from 'tap';
import type { Step, WorkMessage } from '../../../jobs/wire.ts';

/** Answer; `undefined`: the connection is closed without one. */
export type Script = (message: WorkMessage) => { status: number; body?: object } | undefined | Promise<never>;

export interface ScriptedControl {
  readonly url: string;
  readonly messages: WorkMessage[];
  script: Script;
}

export async function scriptedControl(t: Test, script: Script): Promise<ScriptedControl> {
  const messages: WorkMessage[] = [];
  const server = createServer(async (request, response) => {
    const message = (await json(request)) as WorkMessage;
    messages.push(message);
    const answer = await control.script(message);
    if (answer === undefined) {
      response.destroy();
      return;
    }
    if (answer.body === undefined) response.writeHead(answer.status).end();
    else response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer.body));
  });
  const control = { url: '', messages, script };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  control.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return control;
}

export function aStep(more: Partial<Step> = {}): Step {
  const task = { kind: 'warm', urls: ['https://a.test/'], rate: 1, accept_encoding: ['br'] } as const;
  return {
    job: 'j',
    lane: 'eu',
    claim: 'c',
    lease_ms: 300,
    task: { ...task, accept_encoding: ['br'], urls: [...task.urls] },
    ...more,
  };
}

/** Never answers. */
export const SILENCE: Promise<never> = new Promise(() => undefined);

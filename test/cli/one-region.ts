/**
 * A region with a control node and nothing else, and commands that name their control node and token themselves.
 * @module
 */
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Ran, runCommand } from './process.ts';

export const REGION: string = [
  'region: eu',
  'tier_secret: a-secret-of-the-tests',
  'control: { listen: "127.0.0.1:0" }',
  'sites: [{ name: shop, hosts: ["www.example.com"], origin: { servers: [{ url: "http://127.0.0.1:1" }] } }]',
].join('\n');

export function seawall(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return runCommand('cli/seawall.ts', args, { SEAWALL_TOKEN: '', SEAWALL_CONTROL: '', ...env });
}

/** @returns Path of its region file. */
export function regionFile(t: Test): string {
  return join(t.testdir({ 'eu.yaml': REGION }), 'eu.yaml');
}

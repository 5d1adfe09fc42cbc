/**
 * Control nodes that share an etcd, on free ports, and what a test does with them.
 */
import { join } from 'node:path';
import type { Test } from 'tap';
import type { RegionConfig } from '../../config/schema.ts';
import { type ControlNode, startControl } from '../../control/node.ts';
import { openStore } from '../../control/store/open-store.ts';
import { type NewToken, SCOPE_KINDS, Tokens } from '../../control/tokens.ts';
import { wallNow } from '../../lib/clock.ts';
import { newPrefix } from '../journal/etcd.ts';
import { log, type RegionParts, regionOf } from './control.ts';

export interface ReplicatedParts extends Omit<RegionParts, 'control'> {
  readonly endpoints: readonly string[];
  readonly prefix?: string;
  readonly count: number;
  /** Region of each control node, which is started with the file of that region alone; by default `eu` of all. */
  readonly regions?: readonly string[];
}

export interface Replicated {
  readonly region: RegionConfig;
  readonly nodes: readonly (ControlNode & { readonly url: string })[];
  /** @returns The text of a new token; by default one that may do everything. */
  token(scope?: Partial<NewToken>): Promise<string>;
  /** Starts one more control node. */
  start(): Promise<ControlNode & { readonly url: string }>;
}

export async function startReplicated(t: Test, parts: ReplicatedParts): Promise<Replicated> {
  const { endpoints, prefix = newPrefix(), count, regions = [], ...rest } = parts;
  const journal = { etcd: { endpoints: [...endpoints], prefix } };
  const folder = t.testdir({});
  const of = (index: number) => {
    const region = regions[index - 1] ?? 'eu';
    const file = join(folder, `${region}.yaml`);
    return regionOf({ region, file, ...rest, control: { name: `control-${index}`, journal } });
  };
  let started = 0;
  const start = async () => {
    started += 1;
    const region = { ...of(started), fingerprint: 'of the tests' };
    const node = await startControl({ region, control: region.control, regions: [region], log });
    let isOpen = true;
    const close = async (): Promise<void> => {
      if (isOpen) await node.close();
      isOpen = false;
    };
    t.teardown(close);
    return { ...node, close, url: `http://${node.address}` };
  };
  const nodes = [];
  for (let index = 0; index < count; index += 1) nodes.push(await start());
  return {
    region: { ...of(1), fingerprint: 'of the tests' },
    nodes,
    start,
    async token(scope = {}) {
      const region = of(0);
      const store = await openStore(region, region.control);
      try {
        const wanted = { name: 'test', sites: ['*'], kinds: SCOPE_KINDS, read: true, ...scope };
        return (await new Tokens(store.tokens, wallNow).create(wanted)).text;
      } finally {
        await store.close();
      }
    },
  };
}

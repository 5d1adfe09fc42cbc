/**
 * Purges that come while a node starts: one of its listeners is open, others
 * are not yet (rule 11 of docs/purging.md).
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { type RegionConfig, regionSchema } from '../../config/schema.ts';
import { startEdge } from '../../edge/node.ts';
import { formatTierField, token } from '../../http/fields/tier-field.ts';
import { startShield } from '../../origin-shield/node.ts';
import { OriginPools } from '../../origin-shield/origin-pool.ts';
import { type Control, log, SECRET, site, startTestControl } from '../control/control.ts';
import { startOrigin } from '../support/origin.ts';
import { freeAddress } from '../support/ports.ts';
import { ask, HOST, type Reply } from '../support/visitor.ts';

const PURGE_TOKEN = 'let-me-purge';
const GROUP = { 'Cache-Groups': '"prices"' };

/**
 * Keeps every thread that looks names up busy, so that a listener at `localhost` opens only when it is released.
 *
 * @returns Releases them.
 */
async function holdLookups(t: Test): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
  const held = Array.from({ length: threads }, () => open(fifo, 'r')); // each waits for a writer
  return async () => {
    const writer = openSync(fifo, 'r+');
    for (const handle of await Promise.all(held)) await handle.close();
    closeSync(writer);
  };
}

/** @returns The answer, as soon as somebody listens there. */
async function askWhenOpen(address: string, path: string, asking: Parameters<typeof ask>[2]): Promise<Reply> {
  for (;;) {
    try {
      return await ask(address, path, asking);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
      await nextTurn();
    }
  }
}

interface Stage {
  readonly content: { value: string };
  readonly region: RegionConfig & Required<Pick<RegionConfig, 'edges' | 'shields'>>;
  readonly address: string;
}

/** A region of which one listener opens at once, and the next at `localhost`. */
async function stage(t: Test, journal: string | undefined): Promise<Stage> {
  const content = { value: 'old' };
  const origin = await startOrigin((request, response) => {
    const fields = request.method === 'POST' ? { 'Cache-Group-Invalidation': '"prices"' } : GROUP;
    response.writeHead(200, { 'Cache-Control': 'max-age=3600', ...fields }).end(content.value);
  });
  t.teardown(() => origin.close());
  const address = await freeAddress();
  const parsed = regionSchema.parse({
    region: 'eu',
    tier_secret: SECRET,
    edges: [{ name: 'eu-1', listen: address, tier: 'localhost:0' }],
    shields: [{ name: 'shield-1', tier: address, control: 'localhost:0' }],
    sites: [{ include: 'unused.yaml' }],
    limits: { drain_timeout: '1s' },
    ...(journal !== undefined && { purges: { journal } }),
  });
  const sites = [
    site('shop', [HOST], {
      origin: { servers: [{ url: origin.url }] },
      purge_method: { token_sha256: [createHash('sha256').update(PURGE_TOKEN).digest('hex')] },
    }),
  ];
  return { content, address, region: { ...parsed, file: 'eu.yaml', sites, reachableShields: [] } };
}

async function purgesOf(control: Control): Promise<unknown[]> {
  const { body } = await control.get<{ purges: unknown[] }>('/v1/purges');
  return body.purges;
}

const PURGE = { method: 'PURGE', headers: { 'X-Purge-Token': PURGE_TOKEN } };

test('a PURGE at an edge that is still opening its listeners is in the journal when it is answered', async (t) => {
  const control = await startTestControl(t, { sites: [site('shop', [HOST])] });
  const { region, address } = await stage(t, control.url);
  const [edge] = region.edges as [RegionConfig['edges'][0]];
  const release = await holdLookups(t);
  const starting = startEdge({ region, edge, log });
  const { status } = await askWhenOpen(address, '/page', PURGE);
  const purges = await purgesOf(control);
  await release();
  const node = await starting;
  t.teardown(() => node.close());
  t.equal(status, 200);
  t.equal(purges.length, 1, 'it is in the journal');
});

test('a PURGE at an edge that is still opening its listeners is refused when the journal is unreachable', async (t) => {
  const { region, address } = await stage(t, `http://${await freeAddress()}`);
  const [edge] = region.edges as [RegionConfig['edges'][0]];
  const release = await holdLookups(t);
  const starting = startEdge({ region, edge, log });
  const reply = await askWhenOpen(address, '/page', PURGE);
  await release();
  const node = await starting;
  t.teardown(() => node.close());
  t.equal(reply.status, 503);
  t.match(reply.headers['cache-status'], /detail=journal_unreachable/);
});

test('a PURGE at an edge without a journal purges while it is still opening its listeners', async (t) => {
  const { region, address, content } = await stage(t, undefined);
  const [edge] = region.edges as [RegionConfig['edges'][0]];
  const release = await holdLookups(t);
  const origin = new OriginPools(region.network, region.sites);
  const starting = startEdge({ region, edge, origin, log });
  const before = await askWhenOpen(address, '/page', {});
  content.value = 'new';
  const stored = await ask(address, '/page');
  const { status } = await ask(address, '/page', PURGE);
  const after = await ask(address, '/page');
  await release();
  const node = await starting;
  t.teardown(() => node.close());
  t.same([before.text, stored.text, status, after.text], ['old', 'old', 200, 'new']);
});

test('a shield opens its node listener last, so an invalidation in its first request is in the journal', async (t) => {
  const control = await startTestControl(t, { sites: [site('shop', [HOST])], shieldNames: ['shield-1'] });
  const { region, address } = await stage(t, control.url);
  const [shield] = region.shields as [RegionConfig['shields'][0]];
  const release = await holdLookups(t);
  const starting = startShield({ region, shield, log });
  const call = { secret: SECRET, id: 'an-id', from: 'eu-1', proto: token('http'), ask: token('shield'), seq: 0 };
  const headers = { 'Seawall-Tier': formatTierField(call) };
  const asking = { method: 'POST', headers, body: 'x' };
  await t.rejects(ask(address, '/change', asking), { code: 'ECONNREFUSED' }, 'its control listener opens first');
  await release();
  const { status } = await askWhenOpen(address, '/change', asking);
  const purges = await purgesOf(control);
  const node = await starting;
  t.teardown(() => node.close());
  t.equal(status, 200);
  t.equal(purges.length, 1, 'before the visitor is answered');
});

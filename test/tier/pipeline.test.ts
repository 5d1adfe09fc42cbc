/** The runner of phases, whatever the phases are. */
import { type Test, test } from 'tap';
import { limitsSchema } from '../../config/schema/limits.ts';
import { regionSchema, siteSchema } from '../../config/schema.ts';
import { HttpError } from '../../http/errors.ts';
import { listen } from '../../http/listener/listener.ts';
import type { BodyReader } from '../../http/message.ts';
import { monotonicNow } from '../../lib/clock.ts';
import { createLog } from '../../telemetry/log.ts';
import { NodeCore } from '../../tier/node-core.ts';
import { deliverReply, logReply, type Phases, type RequestContext, runPhases } from '../../tier/pipeline.ts';
import { SECRET } from '../support/network.ts';
import { STARTED } from '../support/started.ts';
import { ask } from '../support/visitor.ts';

type Table = Phases<'receive' | 'cache' | 'deliver' | 'log', RequestContext>;

const LIMITS = limitsSchema.parse({ drain_timeout: '1s' });

/** @returns Address of a server that takes its requests through these phases. */
async function serve(t: Test, phases: Partial<Table>, log?: string[]): Promise<string> {
  const parsed = regionSchema.parse({
    region: 'eu',
    tier_secret: SECRET,
    edges: [{ name: 'eu-1', listen: '127.0.0.1:0', tier: '127.0.0.1:0' }],
    sites: [{ include: 'site.yaml' }],
  });
  const site = siteSchema.parse({
    name: 'site',
    hosts: ['site.test'],
    origin: { servers: [{ url: 'http://127.0.0.1:1' }] },
  });
  const region = { ...parsed, file: 'eu.yaml', sites: [site], reachableShields: [] };
  const silent = createLog({ name: 'pipeline', level: 'silent' });
  const core = new NodeCore({ name: 'eu-1', role: 'edge', memoryBytes: 2 ** 20, region, log: silent });
  const table: Table = {
    receive: () => 'cache',
    cache: (context) => {
      context.reply = core.ownReply(
        context,
        { status: 200, statusText: '', headers: [] },
        'redirect',
        Buffer.from('hello'),
      );
      return 'deliver';
    },
    deliver: deliverReply,
    log: logReply,
    ...phases,
  };
  const listener = await listen(STARTED, {
    address: '127.0.0.1:0',
    limits: LIMITS,
    onRequest: (exchange) => {
      const startedAt = monotonicNow();
      const request: RequestContext = {
        core,
        exchange,
        listener: 'public',
        startedAt,
        id: 'id',
        site,
        reply: undefined,
        bytes: 0,
        trace: undefined,
      };
      const fail = (context: RequestContext, error: unknown): void => {
        log?.push(String(error));
        context.reply = core.errorReply(context, error instanceof HttpError ? error : new HttpError('internal'), []);
      };
      runPhases({ phases: table, fail, finish: () => void log?.push('over') }, 'receive', request);
      log?.push('returned');
    },
  });
  t.teardown(async () => {
    await listener.close();
    await core.close();
  });
  return listener.address;
}

test('an exception of a phase, thrown or rejected, becomes an error page', async (t) => {
  const refuse = (): never => {
    throw new HttpError('body_too_large');
  };
  for (const first of [refuse, async () => refuse()]) {
    const answer = await ask(await serve(t, { receive: first }), '/');
    t.equal(answer.status, 413);
    t.equal(answer.complete, true);
  }
});

test('synchronous phases take no turn of the event loop', async (t) => {
  const seen: string[] = [];
  const first = (): 'cache' => {
    seen.push('first');
    return 'cache';
  };
  const deliver = (context: RequestContext): 'log' | Promise<'log'> => {
    seen.push('deliver');
    return deliverReply(context);
  };
  const address = await serve(t, { receive: first, deliver }, seen);
  t.match(await ask(address, '/'), { status: 200, text: 'hello' });
  t.strictSame(seen, ['first', 'deliver', 'over', 'returned']);
});

test('whole answers that were waited for are sent together, behind all that comes in the same turn', async (t) => {
  const seen: string[] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const cache = async (context: RequestContext): Promise<'deliver'> => {
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    if (gates.length === 2) for (const { resolve } of gates) setImmediate(resolve);
    await gate.promise;
    seen.push('cache');
    const reply = context.core.errorReply(context, new HttpError('only_if_cached'), []);
    context.reply = { ...reply, body: { ...(reply.body as BodyReader), isWhole: true } };
    return 'deliver';
  };
  const deliver = (context: RequestContext): 'log' | Promise<'log'> => {
    seen.push('deliver');
    return deliverReply(context);
  };
  const address = await serve(t, { cache, deliver });
  await Promise.all([ask(address, '/'), ask(address, '/')]);
  t.strictSame(seen, ['cache', 'cache', 'deliver', 'deliver']);
});

test('a failure after the head breaks the response off', async (t) => {
  const seen: string[] = [];
  const first = ({ exchange }: RequestContext): never => {
    exchange.head({ status: 200, statusText: '', headers: ['Content-Length', '10'] });
    exchange.write(Buffer.from('hello'));
    throw new Error('a defect');
  };
  const address = await serve(t, { receive: first }, seen);
  await t.rejects(ask(address, '/').then(({ complete }) => complete || Promise.reject(new Error('broken off'))));
  t.ok(seen.includes('over'));
});

for (const phase of ['deliver', 'log'] as const) {
  test(`a failure of the phase ${phase} ends the request`, async (t) => {
    const seen: string[] = [];
    const fail = (): never => {
      throw new Error('a defect');
    };
    const skip = async (): Promise<'log'> => 'log'; // as with a visitor that has gone
    const address = await serve(t, phase === 'log' ? { deliver: skip, log: fail } : { deliver: fail }, seen);
    await t.rejects(ask(address, '/'));
    t.strictSame(
      seen.filter((line) => line.startsWith('Error')),
      ['Error: a defect'],
    );
  });
}

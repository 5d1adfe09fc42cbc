import { setTimeout as sleep } from 'node:timers/promises';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'tap';
import { ConnectionShares, type Sharer } from '../../http/connection-shares.ts';

test('thousands whose time to wait is up at once are ended a few in each turn of the event loop', async (t) => {
  const shares = new ConnectionShares({
    maxConnections: 8,
    maxWaiting: 5_000,
    maxWaitMs: 200,
    busyCode: 'origin_overloaded',
    visitorShare: 1,
  });
  const codes = new Set<string>();
  let inTurn = 0;
  let most = 0;
  let ended = 0;
  const endTurn = (): void => {
    inTurn = 0;
  };
  for (let i = 0; i < 3_008; i++) {
    const one: Sharer = {
      standing: undefined,
      visitor: `visitor ${i % 50}`,
      heldBack: undefined,
      dispatch: () => undefined,
      giveUp: ({ code }) => {
        codes.add(code);
        if (inTurn === 0) setImmediate(endTurn);
        most = Math.max(most, ++inTurn);
        ended++;
        shares.done(one);
      },
    };
    shares.begin(one);
  }
  t.equal(shares.inFlight, 3_008);
  while (ended < 3_000) await sleep(10);
  t.strictSame([...codes], ['origin_overloaded']);
  t.ok(most <= 32, `${most} in a turn`);
  t.equal(shares.inFlight, 8);
});

test('requests that have ended do not move to the old generation, however many come and go', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const shares = new ConnectionShares({ maxConnections: 64, maxWaiting: 100, busyCode: 'origin_overloaded' });
  const underWay: Sharer[] = [];
  const comeAndGo = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const held = new Array(HELD_BY_EACH).fill(i);
      const one: Sharer = {
        visitor: undefined,
        standing: undefined,
        heldBack: undefined,
        dispatch: () => held,
        giveUp: () => undefined,
      };
      shares.begin(one);
      underWay.push(one);
      if (underWay.length > 32) shares.done(underWay.shift() as Sharer);
    }
  };
  comeAndGo(5_000);
  // A full collection takes what is in use at the moment to the old generation; what comes later must not follow it.
  collect();
  comeAndGo(10);
  collect();
  const before = oldBytes();
  comeAndGo(20_000);
  const kept = (oldBytes() - before) / (20_000 * HELD_BY_EACH * 8);
  t.ok(kept < 0.1, `${(kept * 100).toFixed(1)} % of what they held`);
});

const HELD_BY_EACH = 250;

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? Number.NaN;
}

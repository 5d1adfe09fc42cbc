import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import { ConnectionShares, type Sharer } from '../../http/connection-shares.ts';

test('thousands whose time to wait is up at once are ended a few in each turn of the event loop', async (t) => {
  const shares = new ConnectionShares({
    maxConnections: 8,
    maxWaiting: 5_000,
    maxWaitMs: 200,
    busyCode: 'origin_busy',
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
  t.strictSame([...codes], ['origin_busy']);
  t.ok(most <= 32, `${most} in a turn`);
  t.equal(shares.inFlight, 8);
});

/**
 * The limiter as a table of fixed size: what a flood from everywhere can and cannot do.
 */
import { test } from 'tap';
import { RateLimiter } from '../../../geo/dns/rate-limit.ts';
import { formatIpv4, type ParsedAddress, parseAddress } from '../../../lib/address.ts';
import { monotonicMs } from '../../../lib/clock.ts';

const at = (text: string): ParsedAddress => parseAddress(text) as ParsedAddress;
const NOW = 1e12;

test('tokens refill with time, up to one second of them', async (t) => {
  const limiter = new RateLimiter({ size: 64, seed: 1 });
  const given = (nowMs: number, tries = 100): number =>
    Array.from({ length: tries }, () => limiter.take(at('192.0.2.1'), 1, 10, monotonicMs(nowMs))).filter(Boolean)
      .length;
  t.equal(given(NOW), 10);
  t.equal(given(NOW + 500), 5);
  t.equal(given(NOW + 550), 0, 'half a token is none');
  t.equal(given(NOW + 60_000), 10, 'never more than a second’s worth');
  t.equal(given(NOW + 50_000), 0, 'a clock that goes back gives nothing');
});

test('kinds and networks are limited separately', async (t) => {
  const limiter = new RateLimiter({ size: 1_024, seed: 2 });
  for (const [network, kind] of [
    ['192.0.2.1', 1],
    ['192.0.2.1', 2],
    ['192.0.3.1', 1],
    ['2001:db8::1', 1],
    ['2001:db8:0:100::1', 1],
  ] as const) {
    t.ok(limiter.take(at(network), kind, 1, monotonicMs(NOW)), `${network} ${kind}`);
    t.notOk(limiter.take(at(network), kind, 1, monotonicMs(NOW)));
  }
  t.notOk(limiter.take(at('192.0.2.255'), 1, 1, monotonicMs(NOW)), 'the same /24');
  t.notOk(limiter.take(at('2001:db8:0:ff::1'), 1, 1, monotonicMs(NOW)), 'the same /56');
});

test('a flood from many networks does not evict the limited ones', async (t) => {
  const limiter = new RateLimiter({ size: 4_096, seed: 3 });
  const victim = at('198.51.100.1');
  while (limiter.take(victim, 1, 5, monotonicMs(NOW)));
  let sent = 0;
  for (let i = 0; i < 200_000; i += 1) {
    limiter.take(at(formatIpv4((i * 2_654_435_761) % 2 ** 32)), 1, 5, monotonicMs(NOW));
    if (i % 1_000 === 0 && limiter.take(victim, 1, 5, monotonicMs(NOW))) sent += 1;
  }
  t.ok(sent <= 5, `${sent} answers to it during the flood`);
});

/** Claims of fills: one thread has a place, however many ask, and nothing that is late takes it away. */
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { type Claim, FillClaims, type OtherClaim, type OwnClaim } from '../../../cache/shared/fill-claims.ts';
import { sharedParts } from './parts.ts';

const SLOTS = 16;

function claiming() {
  const shared = sharedParts();
  const { words, parts, shape, threads } = shared;
  const claims = [shared.thread(), shared.thread()].map(({ token, lock }) => ({
    token,
    of: new FillClaims(words, parts.claims, shape.claims, lock, token),
  }));
  const [a, b] = claims as [(typeof claims)[0], (typeof claims)[0]];
  return { a, b, threads, count: shape.claims };
}

/** Waits as a server does, which has connections: waiting for other threads alone does not keep a process running. */
function keepRunning(t: Test): void {
  const timer = setInterval(() => undefined, 60_000);
  t.teardown(() => clearInterval(timer));
}

const place = (hash: number, hashHigh = 7) => ({ hash, hashHigh });

function own(claim: Claim): OwnClaim {
  if (claim.kind !== 'own') throw new Error(`the claim is ${claim.kind}`);
  return claim;
}

function other(claim: Claim): OtherClaim {
  if (claim.kind !== 'other') throw new Error(`the claim is ${claim.kind}`);
  return claim;
}

test('the first one has a place, all others learn whose it is, the same thread as well', async (t) => {
  const { a, b } = claiming();
  const claim = own(a.of.claim(place(1)));
  t.equal(other(b.of.claim(place(1))).thread, a.token);
  t.equal(other(a.of.claim(place(1))).thread, a.token);
  own(b.of.claim(place(1, 8))).release();
  claim.release();
  own(b.of.claim(place(1)));
});

test('waiting for a claim ends with the claim, or when its time is over', async (t) => {
  keepRunning(t);
  const { a, b } = claiming();
  const claim = own(a.of.claim(place(1)));
  const seen = other(b.of.claim(place(1)));
  await seen.ended(1);
  t.equal(b.of.claim(place(1)).kind, 'other', 'it goes on');
  const ended = seen.ended(60_000);
  claim.release();
  await ended;
  await seen.ended(60_000);
  t.pass('who comes late does not wait');
});

test('a claim that has ended ends no other one in its slot: released twice, or revoked late', async (t) => {
  const { a, b } = claiming();
  const first = own(a.of.claim(place(1)));
  const seen = other(b.of.claim(place(1)));
  first.release();
  const second = own(b.of.claim(place(1)));
  first.release();
  seen.revoke();
  t.equal(other(a.of.claim(place(1))).thread, b.token);
  second.release();
});

test('a claim of which the thread has no such fill any more is revoked by another thread', async (t) => {
  const { a, b } = claiming();
  own(a.of.claim(place(1)));
  other(b.of.claim(place(1))).revoke();
  t.equal(b.of.claim(place(1)).kind, 'own');
});

test('places of one hash have so many slots, also where those go round the end; one more is not claimed', async (t) => {
  const { a, b, count } = claiming();
  for (const hash of [3, count - 2, -1]) {
    const claims = Array.from({ length: SLOTS }, (_, i) => own(a.of.claim(place(hash, i))));
    t.equal(b.of.claim(place(hash, SLOTS)).kind, 'full');
    t.equal(b.of.claim(place(hash, SLOTS - 1)).kind, 'other', 'the last one is found all the same');
    claims[4]?.release();
    own(b.of.claim(place(hash, SLOTS))).release();
    for (const claim of claims) claim.release();
  }
});

test('a claim behind a slot that is free by now is found', async (t) => {
  const { a, b } = claiming();
  const first = own(a.of.claim(place(5, 1)));
  own(a.of.claim(place(5, 2)));
  first.release();
  t.equal(b.of.claim(place(5, 2)).kind, 'other');
});

test('with a thread end all of its claims, and no other’s', async (t) => {
  keepRunning(t);
  const { a, b } = claiming();
  own(a.of.claim(place(1)));
  own(a.of.claim(place(2)));
  own(b.of.claim(place(3)));
  const ended = other(b.of.claim(place(1))).ended(60_000);
  b.of.end(a.token);
  await ended;
  own(b.of.claim(place(1)));
  own(b.of.claim(place(2)));
  t.equal(a.of.claim(place(3)).kind, 'other');
});

test('random claims and releases by two threads: a place has one owner at a time', async (t) => {
  const step = fc.record({ thread: fc.boolean(), hash: fc.nat(3), high: fc.nat(3), releases: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { a, b } = claiming();
      const owners = new Map<string, { claim: OwnClaim; token: number }>();
      for (const { thread, hash, high, releases } of steps) {
        const { of, token } = thread ? a : b;
        const name = `${hash} ${high}`;
        const before = owners.get(name);
        if (releases) {
          before?.claim.release();
          owners.delete(name);
          continue;
        }
        const claim = of.claim(place(hash, high));
        if (before === undefined) owners.set(name, { claim: own(claim), token });
        else if (other(claim).thread !== before.token) throw new Error('another owner');
      }
    }),
    { numRuns: 30 },
  );
  t.pass();
});

/** Addresses that nodes listen on, and which of them cannot be open at once. */
import { createServer } from 'node:net';
import fc from 'fast-check';
import { test } from 'tap';
import {
  answersAt,
  canonicalHost,
  clash,
  isBrokenAddress,
  joinAddress,
  type Listener,
  machineOf,
  splitAddress,
} from '../../config/listener.ts';

function listener(address: string, machine: string | undefined): Listener {
  return {
    node: 'a',
    role: 'listen',
    address,
    ...splitAddress(address),
    machine,
    source: undefined as never,
    path: [],
  };
}

for (const { a, b, isClash, why } of [
  { a: '0.0.0.0:80', b: '10.0.0.1:80', isClash: true, why: 'all of IPv4, and one of it' },
  { a: '0.0.0.0:80', b: '[::1]:80', isClash: false, why: 'IPv4 and IPv6' },
  { a: '[::]:80', b: '10.0.0.1:80', isClash: true, why: 'dual stack takes IPv4 as well' },
  { a: '[::]:80', b: '0.0.0.0:80', isClash: true, why: 'both for everything' },
  { a: '10.0.0.1:80', b: '10.0.0.2:80', isClash: false, why: 'two addresses' },
  { a: '10.0.0.1:80', b: '10.0.0.1:81', isClash: false, why: 'two ports' },
  { a: '10.0.0.1:0', b: '10.0.0.1:0', isClash: false, why: 'any free port' },
  { a: 'localhost:80', b: '127.0.0.1:80', isClash: true, why: 'one address by two names' },
  { a: '[::ffff:10.0.0.1]:80', b: '10.0.0.1:80', isClash: true, why: 'IPv4 written as IPv6' },
  { a: '[2001:DB8::0:1]:80', b: '[2001:db8::1]:80', isClash: true, why: 'one address in two spellings' },
  { a: 'host.example:80', b: '0.0.0.0:80', isClash: true, why: 'a name may be any address of IPv4' },
]) {
  test(`${a} and ${b} ${isClash ? 'cannot be open at once' : 'can both be open'}: ${why}`, async (t) => {
    t.equal(clash(listener(a, 'here'), listener(b, 'here')), isClash);
    t.equal(clash(listener(b, 'here'), listener(a, 'here')), isClash, 'in either order');
    t.notOk(clash(listener(a, 'here'), listener(b, 'there')), 'on two machines both can');
    t.equal(clash(listener(a, undefined), listener(b, 'there')), isClash, 'where the machine may be any');
  });
}

test('the system agrees about addresses of this machine', async (t) => {
  const hosts = ['127.0.0.1', '127.0.0.2', '0.0.0.0', '[::]', '[::1]', '[::ffff:127.0.0.1]', 'localhost'];
  for (const a of hosts) {
    const server = createServer();
    const port = await listen(server, splitAddress(`${a}:0`).host, 0);
    for (const b of hosts) {
      const second = createServer();
      const isTaken = await listen(second, splitAddress(`${b}:${port}`).host, port).then(
        () => false,
        ({ code }) => code === 'EADDRINUSE',
      );
      const [first, other] = [listener(`${a}:${port}`, 'here'), listener(`${b}:${port}`, 'here')];
      t.equal(clash(first, other), isTaken, `${a} and ${b}`);
      second.close();
    }
    await new Promise((resolve) => server.close(resolve));
  }
});

function listen(server: ReturnType<typeof createServer>, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => resolve((server.address() as { port: number }).port));
  });
}

for (const { own, machine, host, askers, answers, why } of [
  { own: '0.0.0.0:80', machine: '10.0.0.1', host: '10.0.0.1', askers: [], answers: true, why: 'its machine' },
  { own: '0.0.0.0:80', machine: '10.0.0.1', host: '10.0.0.2', askers: [], answers: false, why: 'another machine' },
  { own: '10.0.0.1:80', machine: '10.0.0.1', host: '10.0.0.1', askers: [], answers: true, why: 'its address' },
  { own: '192.0.2.1:80', machine: '10.0.0.1', host: '10.0.0.1', askers: [], answers: false, why: 'another address' },
  {
    own: '0.0.0.0:80',
    machine: '10.0.0.1',
    host: '127.0.0.1',
    askers: ['10.0.0.1'],
    answers: true,
    why: 'asked there',
  },
  {
    own: '0.0.0.0:80',
    machine: '10.0.0.1',
    host: '127.0.0.1',
    askers: ['10.0.0.2'],
    answers: false,
    why: 'asked elsewhere',
  },
  {
    own: '10.0.0.1:80',
    machine: '10.0.0.1',
    host: '127.0.0.1',
    askers: ['10.0.0.1'],
    answers: false,
    why: 'loopback only',
  },
  { own: '[::]:80', machine: 'loopback', host: '::1', askers: ['loopback'], answers: true, why: 'IPv6 loopback' },
]) {
  test(`an origin at ${host} asked by ${askers.join() || 'other machines'} ${answers ? 'is' : 'is not'} ${own} of ${machine}: ${why}`, async (t) => {
    t.equal(answersAt(listener(own, machine), host, 80, new Set(askers)), answers);
    t.notOk(answersAt(listener(own, machine), host, 81, new Set(askers)), 'nor at another port');
  });
}

test('an address is the same after it was taken apart and put together', async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), fc.nat({ max: 65_535 }), (host, port) => {
      const parts = splitAddress(joinAddress(host, port));
      t.same(parts, { host: canonicalHost(host), port });
      t.same(splitAddress(joinAddress(parts.host, port)), parts, 'one spelling');
    }),
  );
});

for (const { host, isBroken } of [
  { host: '999.0.0.1', isBroken: true },
  { host: '10.0.0', isBroken: true },
  { host: '127.1', isBroken: true },
  { host: '010.0.0.1', isBroken: true },
  { host: '[::x]', isBroken: true },
  { host: '[10.0.0.1]', isBroken: true },
  { host: '10.0.0.1', isBroken: false },
  { host: '[::1]', isBroken: false },
  { host: '10.example', isBroken: false },
]) {
  test(`${host} ${isBroken ? 'looks like an address and is none' : 'can be meant'}`, async (t) => {
    t.equal(isBrokenAddress(host), isBroken);
  });
}

test('every address of the loopback is one machine, and others are their own', async (t) => {
  t.equal(machineOf('127.0.0.1'), machineOf('127.9.9.9'));
  t.equal(machineOf('127.0.0.1'), machineOf('::1'));
  t.not(machineOf('10.0.0.1'), machineOf('10.0.0.2'));
  t.equal(machineOf('db.example'), 'db.example');
});

import { test } from 'tap';
import type { ClientAddress } from '../../../config/schema/geo.ts';
import {
  believedChain,
  believedScheme,
  expectsProxyHeader,
  isBelieved,
  visitorAddress,
} from '../../../http/fields/client-address.ts';
import { NO_CHAIN } from '../../../http/fields/forwarding.ts';
import type { RawHeaders } from '../../../http/fields/headers.ts';

const PROXY = '10.0.0.1';
const STRANGER = '192.0.2.9';
const trusted = (ip: string): boolean => ip.startsWith('10.');

const XFF: RawHeaders = ['X-Forwarded-For', '198.51.100.7, 10.0.0.2'];
const REAL: RawHeaders = ['X-Real-IP', '198.51.100.7'];
const header = (name: string): ClientAddress => ({ header: name });

const CASES: readonly { rule: string; mode: ClientAddress; sender: string; headers: RawHeaders; ip: string }[] = [
  {
    rule: 'a stranger is the visitor, whatever it says',
    mode: 'forwarded',
    sender: STRANGER,
    headers: XFF,
    ip: STRANGER,
  },
  {
    rule: 'a trusted proxy says who the visitor is',
    mode: 'forwarded',
    sender: PROXY,
    headers: XFF,
    ip: '198.51.100.7',
  },
  {
    rule: 'a mapped address is the IPv4 address',
    mode: 'forwarded',
    sender: `::ffff:${PROXY}`,
    headers: XFF,
    ip: '198.51.100.7',
  },
  { rule: 'a proxy that says nothing is the visitor', mode: 'forwarded', sender: PROXY, headers: [], ip: PROXY },
  { rule: 'by connection no field counts', mode: 'connection', sender: PROXY, headers: XFF, ip: PROXY },
  { rule: 'a header of one address', mode: header('X-Real-IP'), sender: PROXY, headers: REAL, ip: '198.51.100.7' },
  {
    rule: 'two lines of it tell nothing',
    mode: header('X-Real-IP'),
    sender: PROXY,
    headers: [...REAL, ...REAL],
    ip: PROXY,
  },
  {
    rule: 'what is no address tells nothing',
    mode: header('X-Real-IP'),
    sender: PROXY,
    headers: ['X-Real-IP', 'unknown'],
    ip: PROXY,
  },
  {
    rule: 'an address with a zone tells nothing',
    mode: header('X-Real-IP'),
    sender: PROXY,
    headers: ['X-Real-IP', 'fe80::1%eth0'],
    ip: PROXY,
  },
  {
    rule: 'behind a PROXY header the other end is the visitor',
    mode: 'proxy-protocol',
    sender: PROXY,
    headers: XFF,
    ip: PROXY,
  },
];

for (const { rule, mode, sender, headers, ip } of CASES) {
  test(`address of a visitor: ${rule}`, async (t) => {
    t.equal(visitorAddress({ mode, sender, trusted }, headers), ip);
  });
}

test('only connections of trusted proxies begin with a PROXY header, and their fields do not count', async (t) => {
  const by = { mode: 'proxy-protocol', sender: PROXY, trusted } as const;
  t.ok(expectsProxyHeader(by));
  t.notOk(isBelieved(by));
  t.notOk(expectsProxyHeader({ ...by, sender: STRANGER }));
  t.notOk(expectsProxyHeader({ ...by, mode: 'forwarded' }));
});

test('the scheme is that of a trusted proxy', async (t) => {
  const headers = ['X-Forwarded-Proto', 'https'];
  t.equal(believedScheme({ mode: 'forwarded', sender: PROXY, trusted }, headers), 'https');
  t.equal(believedScheme({ mode: 'forwarded', sender: STRANGER, trusted }, headers), undefined);
  t.equal(believedChain({ mode: 'forwarded', sender: STRANGER, trusted }, XFF), NO_CHAIN);
});

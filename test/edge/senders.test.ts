import { test } from 'tap';
import { regionSchema } from '../../config/schema.ts';
import { isProxy, senderOf } from '../../edge/senders.ts';
import { SECRET } from '../support/network.ts';

const region = (keys: object): ReturnType<typeof regionSchema.parse> =>
  regionSchema.parse({ region: 'eu', tier_secret: SECRET, edges: [], sites: [{ include: 'a.yaml' }], ...keys });

for (const { rule, keys, sender, proxy } of [
  { rule: 'no proxy is trusted by default', keys: {}, sender: '10.0.0.1', proxy: false },
  {
    rule: 'an address inside trusted_proxies',
    keys: { trusted_proxies: ['10.0.0.0/8'] },
    sender: '10.0.0.1',
    proxy: true,
  },
  { rule: 'an address outside', keys: { trusted_proxies: ['10.0.0.0/8'] }, sender: '192.0.2.1', proxy: false },
  {
    rule: 'behind a PROXY header the other end is the visitor',
    keys: { trusted_proxies: ['10.0.0.0/8'], client_address: 'proxy-protocol' },
    sender: '10.0.0.1',
    proxy: false,
  },
]) {
  test(`sender of a request: ${rule}: ${proxy ? 'a proxy' : 'the visitor'}`, async (t) => {
    t.equal(isProxy(region(keys), sender), proxy);
  });
}

test('the sender has the mode of the region', async (t) => {
  const by = senderOf(region({ trusted_proxies: ['10.0.0.0/8'] }), '10.0.0.1');
  t.equal(by.sender, '10.0.0.1');
  t.ok(by.trusted('10.1.2.3'));
  t.notOk(by.trusted('192.0.2.1'));
});

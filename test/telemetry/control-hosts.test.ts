/** Names under which a control listener answers without a token. */
import fc from 'fast-check';
import { test } from 'tap';
import { isControlHost } from '../../telemetry/control-hosts.ts';

const NAMES = ['control.internal:8900', 'Metrics.Example'];

for (const { host, taken } of [
  { host: '127.0.0.1', taken: true },
  { host: '127.0.0.1:8900', taken: true },
  { host: '10.0.0.3:8900', taken: true },
  { host: '[::1]:8900', taken: true },
  { host: 'localhost:8900', taken: true },
  { host: 'LOCALHOST.', taken: true },
  { host: 'eu.localhost', taken: true },
  { host: 'control.internal', taken: true },
  { host: 'control.internal:80', taken: true },
  { host: 'metrics.example.:80', taken: true },
  { host: 'rebound.example', taken: false },
  { host: 'rebound.example:8900', taken: false },
  { host: 'localhost.rebound.example', taken: false },
  { host: '127.0.0.1.rebound.example', taken: false },
  { host: '127.0.0.1.', taken: true },
  { host: 'xcontrol.internal', taken: false },
  { host: 'evil.example:control.internal', taken: false },
  { host: '[::1].rebound.example', taken: false },
  { host: '', taken: false },
  { host: undefined, taken: true },
]) {
  test(`${host ?? 'no Host'} ${taken ? 'is answered' : 'is refused'}`, async (t) => {
    t.equal(isControlHost(host, NAMES), taken);
  });
}

test('a name that ends in another one’s name is refused', async (t) => {
  fc.assert(fc.property(fc.domain(), (domain) => !isControlHost(`${domain}:8900`, NAMES)));
  t.pass();
});

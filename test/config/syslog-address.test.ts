import { test } from 'tap';
import { isSyslog, syslogAddress } from '../../config/syslog-address.ts';

test('addresses of syslog servers', async (t) => {
  t.strictSame(syslogAddress('syslog+udp://[::1]:514'), { kind: 'udp', host: '::1', port: 514 });
  t.strictSame(syslogAddress('syslog+tcp://log.test:601'), { kind: 'tcp', host: 'log.test', port: 601 });
  t.strictSame(syslogAddress('syslog+unix:/run/log'), { kind: 'unix', path: '/run/log' });
  for (const other of ['access.log', '-', 'syslog+udp://host', 'syslog+unix:', 'syslog+tls://host:1']) {
    t.equal(syslogAddress(other), undefined, other);
  }
  t.ok(isSyslog('syslog+tls://host:1'));
});

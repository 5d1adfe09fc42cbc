import { test } from 'tap';
import { accessLogSchema, isSyslog, syslogAddress } from '../../../config/schema/access-log.ts';

test('a text is where lines go, in the default form', async (t) => {
  const whole = { to: 'access.log', format: 'json', fields: [], sample: 1 };
  t.strictSame(accessLogSchema.parse('access.log'), whole);
  t.strictSame(accessLogSchema.parse({ to: 'access.log' }), whole);
  for (const wrong of ['', 'syslog+tls://host:1', { to: 'a', sample: 0 }, { to: 'a', fields: ['constructor'] }, {}]) {
    t.notOk(accessLogSchema.safeParse(wrong).success, JSON.stringify(wrong));
  }
});

test('addresses of syslog servers', async (t) => {
  t.strictSame(syslogAddress('syslog+udp://[::1]:514'), { kind: 'udp', host: '::1', port: 514 });
  t.strictSame(syslogAddress('syslog+tcp://log.test:601'), { kind: 'tcp', host: 'log.test', port: 601 });
  t.strictSame(syslogAddress('syslog+unix:/run/log'), { kind: 'unix', path: '/run/log' });
  for (const other of ['access.log', '-', 'syslog+udp://host', 'syslog+unix:', 'syslog+tls://host:1']) {
    t.equal(syslogAddress(other), undefined, other);
  }
  t.ok(isSyslog('syslog+tls://host:1'));
});

import { test } from 'tap';
import { accessLogSchema } from '../../../config/schema/access-log.ts';

test('a text is where lines go, in the default form', async (t) => {
  const whole = { to: 'access.log', format: 'json', fields: [], sample: 1 };
  t.strictSame(accessLogSchema.parse('access.log'), whole);
  t.strictSame(accessLogSchema.parse({ to: 'access.log' }), whole);
  for (const wrong of ['', 'syslog+tls://host:1', { to: 'a', sample: 0 }, { to: 'a', fields: ['constructor'] }, {}]) {
    t.notOk(accessLogSchema.safeParse(wrong).success, JSON.stringify(wrong));
  }
});

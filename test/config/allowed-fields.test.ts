/** Request fields that a site lets through. */
import { test } from 'tap';
import { allowedFields } from '../../config/allowed-fields.ts';
import { siteSchema } from '../../config/schema.ts';

const SITE = { name: 'a', hosts: ['*'], origin: { servers: [{ url: 'http://o.example' }] } };

test('names are compared without regard to case, and each config has its own', async (t) => {
  const site = (allow: string[]) => siteSchema.parse({ ...SITE, request_headers: { allow } });
  const [a, b] = [site(['X-Real-IP', 'x-real-ip', 'X-Host']), site([])];
  t.same([...allowedFields(a)].sort(), ['x-host', 'x-real-ip']);
  t.equal(allowedFields(b).size, 0);
  t.equal(allowedFields(a), allowedFields(a), 'worked out once');
});

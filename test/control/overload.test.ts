/** Share of visitors that a region above its capacity sheds. */
import { test } from 'tap';
import { Overload, publicRequests } from '../../control/overload.ts';

test('a region above its capacity gives visitors away until it is below, and takes them back slowly', async (t) => {
  const overload = new Overload(1_000);
  const demand = 2_000;
  // Whoever is given away is gone at the next measurement.
  for (let i = 0; i < 60; i += 1) overload.observe(demand * (1 - overload.shed));
  t.ok(
    Math.abs(demand * (1 - overload.shed) - 950) < 100,
    `${demand * (1 - overload.shed)} requests a second are left`,
  );
  let changes = 0;
  for (let i = 0; i < 30; i += 1) {
    const before = overload.shed;
    overload.observe(demand * (1 - before));
    if (overload.shed !== before) changes += 1;
  }
  t.ok(changes <= 2, `it does not swing: ${changes} changes`);
  for (let i = 0; i < 60; i += 1) overload.observe(100 * (1 - overload.shed));
  t.equal(overload.shed, 0);
  t.equal(
    publicRequests(
      'seawall_requests_total{listener="public",site="a",result="hit"} 5\nseawall_requests_total{listener="tier"} 7\nseawall_requests_total{site="a",listener="public"} 1e3\nother{listener="public"} 9\n',
    ),
    1_005,
  );
});

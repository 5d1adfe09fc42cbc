/** Steering by redirect: which requests are sent to another region, and where. */
import { test } from 'tap';
import { isSteered, type SteeredRequest, steer } from '../../edge/steer.ts';
import { parseRequestTarget } from '../../http/request-target.ts';

const REDIRECT = { eu: 'eu.example.com', us: 'us.example.com' };
const SITE = { geo: { redirect: REDIRECT } } as never;

const request = (
  changes: { method?: string; host?: string; headers?: string[]; target?: string } = {},
): SteeredRequest => {
  const {
    method = 'GET',
    host = 'www.example.com',
    headers = ['Sec-Fetch-Mode', 'navigate'],
    target = '/a?b',
  } = changes;
  return { method, scheme: 'https', target: parseRequestTarget(method, target, ['Host', host]), headers };
};

for (const { what, changes, isSent } of [
  { what: 'a navigation', changes: {}, isSent: true },
  { what: 'a HEAD of a navigation', changes: { method: 'HEAD' }, isSent: true },
  {
    what: 'a navigation of a browser without Fetch Metadata',
    changes: { headers: ['Upgrade-Insecure-Requests', '1'] },
    isSent: true,
  },
  { what: 'a POST', changes: { method: 'POST' }, isSent: false },
  {
    what: 'a script',
    changes: { headers: ['Sec-Fetch-Mode', 'no-cors', 'Upgrade-Insecure-Requests', '1'] },
    isSent: false,
  },
  { what: 'a program', changes: { headers: [] }, isSent: false },
  { what: 'a host of a region', changes: { host: 'us.example.com' }, isSent: false },
  { what: 'a host of a region in capitals', changes: { host: 'US.Example.com' }, isSent: false },
]) {
  test(`${what} ${isSent ? 'may be' : 'is never'} sent on`, async (t) => {
    t.equal(isSteered(SITE, request(changes)), isSent);
    t.notOk(isSteered({ geo: { redirect: {} } } as never, request(changes)), 'nor where no region has a host');
  });
}

const region = (name: string, state = 'healthy') => ({ name, state });
const PLACE = { prefix: 8 };

for (const { what, regions, place = PLACE, to } of [
  { what: 'the best region', regions: [region('us'), region('eu')], to: 'https://us.example.com/a?b' },
  { what: 'this region', regions: [region('eu'), region('us')], to: undefined },
  { what: 'a region that is down', regions: [region('us', 'down'), region('eu')], to: undefined },
  {
    what: 'a region without a host of its own',
    regions: [region('asia'), region('us')],
    to: 'https://us.example.com/a?b',
  },
  {
    what: 'a region with the name of something that every object has',
    regions: [region('constructor'), region('us')],
    to: 'https://us.example.com/a?b',
  },
  { what: 'no region', regions: [], to: undefined },
  { what: 'a region where the visitor is nowhere', regions: [region('us')], place: undefined, to: undefined },
] as { what: string; regions: object[]; place?: object | undefined; to: string | undefined }[]) {
  test(`${what}: ${to === undefined ? 'no redirect' : `a redirect to ${to}`}`, async (t) => {
    const wanted = what.includes('nowhere') ? undefined : place;
    const head = steer(SITE, 'eu', request(), { place: wanted, regions } as never);
    t.equal(head?.headers[1], to);
    if (to !== undefined)
      t.match(head, { status: 307, headers: ['Location', to, 'Content-Length', '0', 'Cache-Control', 'no-store'] });
  });
}

test('the port of the request stays', async (t) => {
  const head = steer(SITE, 'eu', request({ host: 'www.example.com:8443' }), {
    place: PLACE,
    regions: [region('us')],
  } as never);
  t.equal(head?.headers[1], 'https://us.example.com:8443/a?b');
});

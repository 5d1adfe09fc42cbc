import { test } from 'tap';
import { jobStage, STORED, urlOf } from '../support/jobs.ts';

test('each outcome of a URL is told, with its reason', async (t) => {
  let failures = 0;
  const { run, lines, origin } = await jobStage(t, ({ url = '' }, response) => {
    if (url === '/private') response.writeHead(200, { 'Cache-Control': 'private' }).end('mine');
    else if (url === '/missing') response.writeHead(404, { 'Cache-Control': 'max-age=60' }).end('none');
    else if (url === '/down') response.writeHead(503, { 'Cache-Control': 'no-store' }).end('down');
    else if (url === '/flaky' && failures++ === 0) response.writeHead(502).end('not now');
    else STORED({ url } as never, response);
  });
  const paths = ['/private', '/missing', '/down', '/flaky', '/fine'];
  const job = await run(paths.map(urlOf), { regions: ['eu'] });
  t.match(job.counts, { stored: 3, not_stored: 1, failed: 1 });
  const found = new Map((await lines(job.id)).map((line) => [line['url'], line]));
  t.match(found.get(urlOf('/private')), { outcome: 'not_stored', status: 200, detail: 'private' });
  t.match(found.get(urlOf('/missing')), { outcome: 'stored', status: 404 });
  t.match(found.get(urlOf('/down')), { outcome: 'failed', status: 503 });
  t.match(found.get(urlOf('/flaky')), { outcome: 'stored', status: 200 });
  t.equal(origin.count('/down'), 3, 'it was tried again');
  t.equal((await lines(job.id, '?outcome=failed')).length, 1);
});

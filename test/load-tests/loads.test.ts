/** Load generators, with programs in their place that write what they would. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { h2load } from '../../load-tests/bench/loads.ts';

/** Appends a request to its log, as h2load does; it took as many milliseconds as the load takes seconds. */
const H2LOAD = `#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    -D) shift; seconds=$1 ;;
    --log-file=*) log=\${1#--log-file=} ;;
  esac
  shift
done
printf '0\\t200\\t%s000\\n' "$seconds" >> "$log"
cat <<END
finished in 1.00s, 1.00 req/s, 1.00B/s
requests: 1 total, 1 started, 1 done, 1 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 1 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1B (1) total, 0B (0) headers (space savings 0%), 0B (0) data
END
`;

test('latencies of a load over HTTP/2 are its own, also beside another and after it', async (t) => {
  const folder = t.testdir({ h2load: H2LOAD });
  chmodSync(join(folder, 'h2load'), 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${folder}:${path}`;
  t.teardown(() => {
    process.env.PATH = path;
  });
  const load = (seconds: number) => h2load({ port: 1, path: '/', seconds, connections: 1, streams: 1, headers: [] });
  const seen = [...(await Promise.all([load(1), load(3)])), await load(5)];
  t.same(
    seen.map(({ p50Micros, p99Micros }) => [p50Micros, p99Micros]),
    [
      [1_000, 1_000],
      [3_000, 3_000],
      [5_000, 5_000],
    ],
  );
});

/**
 * Each command block of the documentation: where it is run, and what it has to say; or why it is not run.
 * @module
 */

/** Surroundings of a block, started once for all blocks of a kind. */
export type StageName =
  /** The files of the repository, and nothing that runs but an origin. */
  | 'files'
  /** The region files of the demo, their nodes, and the demo's website. */
  | 'demo'
  /** A region of two edges and a shield, whose origin does not run. */
  | 'no origin'
  /** One edge in front of a site that lets PURGE in. */
  | 'purge method';

export interface Row {
  readonly file: string;
  /** Beginning of the block. */
  readonly begins: string;
}

export interface Run extends Row {
  readonly stage: StageName;
  /** Text that is different here, and why. */
  readonly replace?: readonly (readonly [text: string, by: string, why: string])[];
  /** Commands before it, in the same shell: what its page has the reader do elsewhere. */
  readonly before?: string;
  /** Present if it runs on: it is ended once its output has this. */
  readonly lasts?: RegExp;
  /** Commands beside one that runs on, before it is ended. */
  readonly beside?: string;
  /** Output that it, or the commands beside it, must print. */
  readonly prints: readonly RegExp[];
  /** True if the page shows the output, which has to be the same: in the block itself, or in the next one. */
  readonly isShown?: boolean;
}

export interface NotRun extends Row {
  readonly why: string;
}

export type Planned = Run | NotRun;

/** Prints the status of each URL. */
const ASK = 'ask() { for url; do curl -sS -o /dev/null -w "%{http_code}\\n" "$url"; done; }; ask';
const READY = /is ready|"ready":true/;

/** `serve` listens there by default. */
const LISTEN = ['--origin', '--listen 127.0.0.1:8080 --origin', 'another port'] as const;

/** The store of a single control node is read by itself only while that is stopped. */
const EU = 'config/regions/eu.yaml';

const REPLACES_PACKAGES = 'it would replace the packages that this command runs with';

const FROM_NPM_CI = ['npm ci --omit=dev # without what only tests need', ':', REPLACES_PACKAGES] as const;

/** In the order in which they are run. */
export const PLAN: readonly Planned[] = [
  { file: 'README.md', begins: 'npm ci && npm test', why: 'it is the first check of .ci/run' },
  { file: 'README.md', begins: 'npm ci && npm start', why: `${REPLACES_PACKAGES}; the next block starts the same` },
  {
    file: 'README.md',
    begins: 'npm start -- --origin',
    stage: 'files',
    replace: [['--origin', '--port-offset "$OFFSET" --origin', 'other ports']],
    lasts: /Seawall is running/,
    beside: `${ASK} http://127.0.0.1:8081/ http://127.0.0.1:8084/`,
    prints: [/Seawall is running: 4 edges in 2 regions/, /^200\n200$/m],
  },
  {
    file: 'README.md',
    begins: 'cli/seawall serve --origin',
    stage: 'files',
    lasts: READY,
    beside: `${ASK} http://127.0.0.1:8080/`,
    prints: [/^200$/m],
  },
  {
    file: 'README.md',
    begins: 'export SEAWALL_TIER_SECRET=$(openssl rand -hex 32) # made once',
    stage: 'files',
    lasts: READY,
    beside: `${ASK} http://127.0.0.1:8281/healthz`,
    prints: [/eu\.yaml: .*/, /^200$/m],
  },
  {
    file: 'README.md',
    begins: 'cli/seawall token create --help',
    stage: 'files',
    prints: [/Usage: cli\/seawall token create/, /Usage: cli\/seawall purge/],
  },
  {
    file: 'README.md',
    begins: 'export SEAWALL_TIER_SECRET=$(openssl rand -hex 32) # the files name it',
    stage: 'files',
    prints: [/81\.2\.69\.142: GB/, /eu is the nearest region/],
  },
  {
    file: 'docs/deployment.md',
    begins: 'sudo apt install',
    why: 'npm run test:install does the same in a Debian of its own',
  },
  {
    file: 'docs/deployment.md',
    begins: 'npm install --global',
    why: 'it installs for the whole machine; test/packaging runs what is published',
  },
  { file: 'docs/deployment.md', begins: 'podman build', why: 'it needs a container runtime and its registry' },
  { file: 'CONTRIBUTING.md', begins: 'npm ci', why: 'these are the checks of a change, which .ci/run is made of' },
  {
    file: 'docs/config.md',
    begins: 'export SEAWALL_TIER_SECRET',
    stage: 'files',
    prints: [/eu\.yaml/, /us\.yaml/],
  },
  {
    file: 'docs/geo.md',
    begins: '$ export SEAWALL_TIER_SECRET',
    stage: 'files',
    prints: [],
    isShown: true,
  },
  {
    file: 'docs/trust.md',
    begins: 'cli/seawall ca init ca',
    stage: 'files',
    prints: [/ca\.pem is the authority of seawall-demo until/],
  },
  {
    file: 'docs/trust.md',
    begins: 'cli/seawall ca request tls eu-1',
    stage: 'files',
    prints: [/tls\/eu-1\.key is the private key: it stays here/],
  },
  {
    file: 'docs/trust.md',
    begins: 'cli/seawall ca issue ca eu-1',
    stage: 'files',
    before:
      'for node in shield-1 control; do cli/seawall ca request tls $node --network seawall-demo; done; cp tls/*.csr .',
    prints: [/edge eu-1 in eu: valid/, /shield shield-1 in eu: valid/, /control control in eu: valid/],
  },
  {
    file: 'docs/trust.md',
    begins: 'cli/seawall ca renew ca --out renewed',
    stage: 'files',
    prints: [/No certificate has to be renewed yet/],
  },
  {
    file: 'docs/trust.md',
    begins: 'cli/seawall ca revoke ca eu-1',
    stage: 'files',
    prints: [/of the edge eu-1 is revoked/],
  },
  {
    file: 'docs/logs.md',
    begins: 'cli/seawall replay access.jsonl.2.gz',
    why: 'it takes logs of real visitors: test/cli/replay.test.ts plays those that edges have written',
  },
  {
    file: 'docs/operating.md',
    begins: 'npm ci --omit=dev',
    stage: 'files',
    replace: [FROM_NPM_CI],
    lasts: READY,
    beside: `${ASK} http://127.0.0.1:8281/healthz`,
    prints: [/^200$/m],
  },
  {
    file: 'docs/operating.md',
    begins: 'cli/seawall serve --origin http://127.0.0.1:3000 --access-log -',
    stage: 'files',
    replace: [LISTEN, ['jq -c', 'jq --unbuffered -c', 'not to a terminal']],
    lasts: READY,
    beside: `${ASK} http://127.0.0.1:8080/ http://127.0.0.1:8080/error`,
    prints: [/^200\n500$/m, /"target":"\/error".*"status":500|"status":500.*"target":"\/error"/],
  },
  {
    file: 'docs/tls.md',
    begins: 'cli/seawall serve --origin',
    stage: 'files',
    replace: [LISTEN],
    before: `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \\
      -keyout shop.key -out shop.pem 2>/dev/null`,
    lasts: READY,
    beside: `curl -skS -o /dev/null -w '%{http_version} %{http_code}\\n' https://127.0.0.1:443/`,
    prints: [/^2 200$/m],
  },
  { file: 'docs/performance.md', begins: 'npm run bench', why: 'it measures for an hour, on a machine of its own' },
  {
    file: 'docs/profiling.md',
    begins: "NODE_OPTIONS='--cpu-prof",
    stage: 'files',
    replace: [LISTEN],
    lasts: READY,
    beside: `${ASK} http://127.0.0.1:8080/`,
    prints: [/^200$/m],
  },
  {
    file: 'docs/profiling.md',
    begins: 'wrk -t1',
    stage: 'files',
    before:
      'cli/seawall serve --origin http://127.0.0.1:3000 --listen 127.0.0.1:8080 > ready & until grep -q ready ready; do sleep 0.1; done',
    replace: [
      ['-d10', '-d1', 'less time'],
      [
        'npm run profile',
        'kill $!; wait $! || :; npm run --silent profile',
        'the server runs here as long as the load',
      ],
    ],
    prints: [/Requests\/sec/, /ms of processor time\n +\d+\.\d %/],
  },
  {
    file: 'docs/profiling.md',
    begins: 'npm run bench:against HEAD',
    why: 'it measures for ten minutes, on a machine of its own',
  },
  {
    file: 'docs/profiling.md',
    begins: "NODE_OPTIONS='--heap-prof",
    stage: 'files',
    replace: [LISTEN],
    lasts: READY,
    beside: `${ASK} http://127.0.0.1:8080/`,
    prints: [/^200$/m],
  },
  {
    file: 'docs/profiling.md',
    begins: "NODE_OPTIONS='--heapsnapshot-signal",
    stage: 'files',
    replace: [
      LISTEN,
      ['--workers 1', '--workers 1 --json > ready & until grep -q pid ready; do sleep 0.1; done', 'in one shell'],
      [
        'PID',
        '$(jq .pid ready); until ls /tmp/Heap.*.heapsnapshot; do sleep 0.1; done; kill $!; wait $! || :',
        'its pid',
      ],
    ],
    prints: [/\/Heap\.\S+\.heapsnapshot/],
  },
  {
    file: 'docs/profiling.md',
    begins: 'npx node --trace-gc',
    stage: 'files',
    replace: [LISTEN],
    lasts: /is ready/,
    prints: [/\[\d+:0x[0-9a-f]+\] +\d+ ms: Scavenge \d+\.\d \(\d+\.\d\) -> \d+\.\d \(\d+\.\d\) MB/],
  },
  {
    file: 'docs/runbook.md',
    begins: 'promtool check config',
    stage: 'files',
    replace: [['promtool test rules ops/prometheus/alerts.test.yaml', ':', 'npm run test:prometheus runs it']],
    prints: [/SUCCESS/],
  },
  {
    file: 'docs/cache-status.md',
    begins: '$ curl',
    stage: 'demo',
    prints: [/^Cache-Status: .*"eu-1";(?:fwd|hit)/im],
  },
  {
    file: 'docs/purging.md',
    begins: '# The region file names it',
    stage: 'demo',
    replace: [['export SEAWALL_TIER_SECRET=$(openssl rand -hex 32)', ':', 'the nodes that run have theirs']],
    prints: [/\n.*1 .*\n/s, /dry run|would/i],
  },
  {
    file: 'docs/purging.md',
    begins: 'bearer()',
    stage: 'demo',
    prints: [/"status":"applied"/, /"openapi":"3/],
  },
  {
    file: 'docs/purging.md',
    begins: 'cli/seawall token create config/regions/eu.yaml --name deploy',
    stage: 'demo',
    replace: [
      [
        '0123456789abcdef',
        `$(cli/seawall token list config/regions/eu.yaml --json | jq -r 'map(select(.name == "deploy"))[0].id')`,
        'its id',
      ],
    ],
    prints: [/deploy/, /revoked/i],
  },
  {
    file: 'docs/purging.md',
    begins: "printf 'Authorization",
    stage: 'demo',
    prints: [/"success":true/],
  },
  {
    file: 'docs/purging.md',
    begins: "printf 'Fastly-Key",
    stage: 'demo',
    prints: [/"status":"ok"/],
  },
  {
    file: 'docs/purging.md',
    begins: "const Fastly = require('fastly');",
    stage: 'demo',
    prints: [],
  },
  {
    file: 'docs/geo.md',
    begins: 'bearer()',
    stage: 'demo',
    before:
      'SEAWALL_TOKEN=$(cli/seawall token create config/regions/eu.yaml --name ops --all-sites --kind drain 2> /dev/null)',
    prints: [/"state":"drained"/, /"state":"healthy"/],
  },
  {
    file: 'README.md',
    begins: 'cli/seawall job --help',
    stage: 'files',
    prints: [/^Usage: /m],
  },
  {
    file: 'docs/jobs.md',
    begins: '# The region file names it',
    stage: 'demo',
    replace: [['export SEAWALL_TIER_SECRET=$(openssl rand -hex 32)', ':', 'the demo that runs has another one']],
    prints: [/warm, done, 4 of 4/, /warm, done, 1 of 1/],
  },
  {
    file: 'docs/jobs.md',
    begins: 'bearer() {',
    stage: 'demo',
    before:
      'SEAWALL_TOKEN=$(cli/seawall token create config/regions/eu.yaml --name jobs --all-sites --kind job --read)',
    prints: [/"state":"(?:starting|running|done)"/, /"jobs":\[/],
  },
  {
    file: 'docs/dashboard.md',
    begins: 'cli/seawall token create config/regions/eu.yaml --name operator',
    stage: 'demo',
    prints: [/^\S{30,}$/m],
  },
  {
    file: 'docs/audit.md',
    begins: "printf 'Authorization",
    stage: 'demo',
    prints: [/"action":"purge"/],
  },
  {
    file: 'docs/audit.md',
    begins: 'cli/seawall audit verify config/regions/eu.yaml',
    stage: 'demo',
    replace: [[EU, `${EU} --control http://127.0.0.1:8900`, 'the control node runs']],
    prints: [/signed/],
  },
  {
    file: 'docs/audit.md',
    begins: 'cli/seawall audit checkpoint',
    stage: 'demo',
    replace: [[EU, `${EU} --control http://127.0.0.1:8900`, 'the control node runs']],
    prints: [/signed/],
  },
  {
    file: 'docs/purging.md',
    begins: 'PURGE_TOKEN=$(openssl rand -hex 32)',
    stage: 'purge method',
    replace: [['PURGE_TOKEN=$(openssl rand -hex 32)', ':', 'the site file has to have its hash before']],
    prints: [/^[0-9a-f]{64} {2}-/m, /(?:^200\n){3}/m],
  },
  {
    file: 'docs/explain.md',
    begins: 'cli/seawall explain http://127.0.0.1:8081/ -H',
    stage: 'demo',
    prints: [/ {2}site {6}demo\n/, / {2}key {7}http:\/\/demo\.seawall\.test\/\n/, / \(edge, eu\): \w+\./],
  },
  {
    file: 'docs/explain.md',
    begins: 'cli/seawall explain http://127.0.0.1:8081/ --fetch',
    stage: 'demo',
    prints: [/ {2}fetched: status 200\n {4}"/],
  },
  {
    file: 'docs/debugging.md',
    begins: 'cli/seawall start eu.yaml --log-level debug',
    stage: 'no origin',
    replace: [
      [
        '2> seawall.log',
        '2> seawall.log > ready & echo $! > pid; until grep -q ready ready; do sleep 0.1; done',
        'a shell',
      ],
    ],
    prints: [],
  },
  {
    file: 'docs/debugging.md',
    begins: "curl -s -H 'Accept: text/plain'",
    stage: 'no origin',
    prints: [],
    isShown: true,
  },
  {
    file: 'docs/debugging.md',
    begins: 'jq -r',
    stage: 'no origin',
    before: 'curl -s http://127.0.0.1:8081/broken2 > /dev/null',
    prints: [/^[0-9a-f]{32}$/m],
  },
  {
    file: 'docs/debugging.md',
    begins: 'grep 9b54802e',
    stage: 'no origin',
    replace: [
      [
        '9b54802e21f682bf81a03c4b91656f0e',
        `"$(jq -r 'select(.phase == "receive" and .target == "/broken2") | .id' seawall.log | head -1)"`,
        'its id',
      ],
    ],
    prints: [
      /^\d\d:\d\d:\d\d\.\d{3} eu-1 receive \{"method":"GET","target":"\/broken2",/m,
      /shield-1 fetch \{"to":"origin"\}/,
      /shield-1 request failed \{"code":"origin_unreachable","cause":"refused",/,
      /eu-1 log \{"result":"origin_unreachable","ms":/,
    ],
  },
  {
    file: 'docs/debugging.md',
    begins: 'NODE_OPTIONS=--import=$PWD/trace.mjs',
    stage: 'no origin',
    before: 'kill $(cat pid); while kill -0 $(cat pid); do sleep 0.1; done 2> /dev/null',
    lasts: READY,
    beside: `${ASK} http://127.0.0.1:8081/`,
    prints: [/\{ '?uri-miss'?: \d/],
  },
  { file: 'docs/control-plane.md', begins: 'cli/seawall node forget', why: 'no node of the demo is gone for good' },
  { file: 'docs/control-plane.md', begins: 'etcdctl user add', why: 'it asks for a password at a terminal' },
  {
    file: 'docs/wordpress.md',
    begins: 'cache_status()',
    why: 'it asks a WordPress on three machines; npm run test:wordpress asks a real one the same',
  },
];

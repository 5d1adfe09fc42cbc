/**
 * Each way in which an origin fails has a name for operators, in the logs and
 * metrics of every node that the request passed, and none for visitors.
 */
import { pino } from 'pino';
import tap, { test } from 'tap';
import { UPSTREAM_CAUSES, type UpstreamCause } from '../../http/upstream/errors.ts';
import { type MadeCertificate, makeCertificate, makeDatedCertificate } from '../support/certificate.ts';
import { startNetwork } from '../support/network.ts';
import { startTcp, type TcpServer, UNREACHABLE } from '../support/origin.ts';
import { dial } from '../support/raw-client.ts';
import { ask } from '../support/visitor.ts';

tap.setTimeout(120_000);

const folder = tap.testdir();
const good = makeCertificate(folder, 'good', ['site.test']);
const OK = 'HTTP/1.1 200 OK\r\n';

interface Failing {
  readonly cause: UpstreamCause;
  /** Bytes that the origin answers with. */
  readonly bytes?: string;
  readonly ends?: true;
  readonly resets?: true;
  readonly url?: string;
  /** The origin's certificate, if it has one. */
  readonly shows?: MadeCertificate;
  /** The certificate that the site trusts. */
  readonly trusts?: MadeCertificate;
  readonly access?: object;
}

const other = makeCertificate(folder, 'other', ['other.test']);
const expired = makeDatedCertificate(folder, 'expired', 'site.test', ['20200101000000Z', '20210101000000Z']);
const future = makeDatedCertificate(folder, 'future', 'site.test', ['20800101000000Z', '20810101000000Z']);

const FAILING: readonly Failing[] = [
  { cause: 'refused', url: UNREACHABLE },
  { cause: 'name_not_found', url: 'http://no-such-host.invalid:80' },
  { cause: 'certificate_name', shows: other, trusts: other },
  { cause: 'certificate_name', shows: good, trusts: good, access: { tls: { server_name: 'wrong.test' } } },
  { cause: 'certificate_expired', shows: expired, trusts: expired },
  { cause: 'certificate_not_yet_valid', shows: future, trusts: future },
  { cause: 'certificate_untrusted', shows: good },
  { cause: 'certificate_untrusted', shows: good, trusts: other },
  { cause: 'not_tls', url: 'https' },
  { cause: 'head_timeout', bytes: '', access: { first_byte_timeout: '200ms' } },
  { cause: 'head_timeout', bytes: `${OK}Half: a`, access: { first_byte_timeout: '200ms' } },
  { cause: 'reset', resets: true },
  { cause: 'closed', bytes: '', ends: true },
  { cause: 'closed', bytes: `${OK}Half: a`, ends: true },
  { cause: 'not_http', bytes: 'SSH-2.0-OpenSSH_9.9\r\n', ends: true },
  { cause: 'not_http', bytes: 'HTTP/2.0 200 OK\r\n\r\n' },
  { cause: 'bad_field', bytes: `${OK}no field\r\n\r\n` },
  { cause: 'bad_framing', bytes: `${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab` },
  { cause: 'bad_framing', bytes: `${OK}Transfer-Encoding: gzip\r\n\r\nab` },
  { cause: 'head_too_large', bytes: `${OK}X: ${'y'.repeat(200_000)}\r\n\r\n` },
  { cause: 'bad_upgrade', bytes: 'HTTP/1.1 101 Up\r\nUpgrade: x\r\n\r\n' },
];

function startFailing({ bytes = '', ends, resets, shows, url }: Failing): Promise<TcpServer> {
  return startTcp(
    (socket) => {
      if (resets) socket.resetAndDestroy();
      else socket.write(bytes, 'latin1');
      if (ends) socket.end();
    },
    // As servers of HTTP answer what is none.
    (socket) => url === 'https' && socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    shows && { cert: shows.cert, key: shows.key },
  );
}

for (const failing of FAILING) {
  const { cause, url, trusts, access } = failing;
  const { code } = UPSTREAM_CAUSES[cause];
  test(`${cause} is in the logs and metrics of all nodes, and not on the page`, async (t) => {
    const origin = await startFailing(failing);
    const lines: Record<string, unknown>[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const network = await startNetwork({
      origin: url === 'https' ? origin.url.replace('http:', 'https:') : (url ?? origin.url),
      access: { ...(trusts && { tls: { ca_file: trusts.cert_file } }), ...access, ...mergedTls(trusts, access) },
      log,
    });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const path = network.pathOf('eu-2', '/failing');
    for (const method of ['GET', 'POST']) {
      lines.length = 0;
      const reply = await ask(network.at('eu-1'), path, { method, headers: { Accept: 'text/html' } });
      t.equal(reply.status, code === 'origin_timeout' ? 504 : 502);
      t.match(reply.text, new RegExp(`<dd>${code}</dd>`));
      const everything = JSON.stringify([reply.text, reply.headers]);
      t.notMatch(everything, new RegExp(`\\b${cause}\\b|${UPSTREAM_CAUSES[cause].meaning}`));
      t.notMatch(
        everything,
        /certificate|127\.0\.0\.1|ECONN|ERR_|invalid:|openssl/i,
        'nor anything else of the origin',
      );
      const [, id] = /<dt>Request<\/dt><dd>([^<]+)</.exec(reply.text) ?? [];
      const matching = lines.filter((line) => line['id'] === id && line['cause'] === cause && line['code'] === code);
      t.ok(matching.length >= 2, 'said by the shield that asked and by the edge that answered');
    }
    for (const node of ['shield-1', 'eu-1']) {
      t.ok((await network.metric(node, 'seawall_upstream_errors_total', { code, cause })) >= 1, node);
    }
  });
}

/** `tls` of both. */
function mergedTls(trusts: MadeCertificate | undefined, access: { tls?: object } = {}): object {
  return access.tls === undefined ? {} : { tls: { ...(trusts && { ca_file: trusts.cert_file }), ...access.tls } };
}

test('the cause of a failed upgrade is in the log, and not in the response', async (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const network = await startNetwork({ origin: UNREACHABLE, log });
  t.teardown(() => network.close());
  const socket = dial(network.at('eu-1'));
  socket.write('GET / HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  let text = '';
  for await (const piece of socket) text += String(piece);
  t.match(text, /^HTTP\/1\.1 502 /);
  t.notMatch(text, /refused\b/);
  t.ok(lines.some((line) => line['cause'] === 'refused' && line['code'] === 'origin_unreachable'));
});

test('every cause has a documented code, and a meaning of its own', async (t) => {
  const meanings = Object.values(UPSTREAM_CAUSES).map(({ meaning }) => meaning);
  t.equal(new Set(meanings).size, meanings.length);
});

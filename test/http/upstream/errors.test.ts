import { test } from 'tap';
import { HttpError } from '../../../http/errors.ts';
import {
  bodyError,
  causeOf,
  failedBy,
  UPSTREAM_CAUSES,
  type UpstreamCause,
  upstreamError,
} from '../../../http/upstream/errors.ts';

const systemError = (code: string): Error => Object.assign(new Error(`${code} happened`), { code });

for (const { code, cause } of [
  { code: 'ENOTFOUND', cause: 'name_not_found' },
  { code: 'ECONNREFUSED', cause: 'refused' },
  { code: 'EADDRNOTAVAIL', cause: 'out_of_ports' },
  { code: 'ECONNRESET', cause: 'reset' },
  { code: 'CERT_HAS_EXPIRED', cause: 'certificate_expired' },
  { code: 'CERT_UNTRUSTED', cause: 'certificate_untrusted' },
  { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', cause: 'certificate_untrusted' },
  { code: 'ERR_SSL_WRONG_VERSION_NUMBER', cause: 'not_tls' },
  { code: 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', cause: 'tls_failed' },
  { code: 'EPROTO', cause: 'tls_failed' },
  { code: 'ESOMETHING', cause: 'unknown' },
] as const satisfies readonly { code: string; cause: UpstreamCause }[]) {
  test(`${code} is ${cause}`, async (t) => {
    const error = upstreamError(systemError(code));
    t.equal(error.reason, cause);
    t.match(error.fault, { source: UPSTREAM_CAUSES[cause].source, sent: UPSTREAM_CAUSES[cause].sent });
    t.match(error.message, code);
  });
}

test('of several attempts to connect, the first counts', async (t) => {
  t.equal(causeOf(new AggregateError([systemError('ECONNREFUSED'), systemError('ENETUNREACH')])), 'refused');
});

test('an error that says of itself what it is stays as it is', async (t) => {
  const error = failedBy('closed');
  t.equal(upstreamError(error), error);
  t.equal(bodyError(error), error);
});

test('a request’s body that fails is its sender’s fault, and may have arrived', async (t) => {
  t.match(bodyError(new HttpError('body_too_large')), {
    code: 'body_too_large',
    fault: { source: 'requester', sent: 'maybe' },
  });
  t.equal(bodyError(new Error('aborted')).code, 'client_closed');
});

test('what has not been sent may be sent again, whatever the method', async (t) => {
  for (const [cause, fault] of Object.entries(UPSTREAM_CAUSES)) {
    if ('repeats' in fault && fault.repeats === 'all') t.equal(fault.sent, 'no', cause);
  }
});

import { test } from 'tap';
import { type FaultSource, HTTP_ERRORS, HttpError, type HttpErrorCode } from '../../http/errors.ts';
import {
  errorFields,
  formatTierCall,
  formatVersion,
  readTierCall,
  readVersion,
  relayedError,
  TIER_FIELD,
  type TierCall,
} from '../../tier/protocol.ts';
import { bySecret } from '../../trust/authentication.ts';

const SECRET = 'a secret of the network';

const CALL: TierCall = {
  id: '0b6e',
  from: 'eu-1',
  proto: 'https',
  ask: 'owner',
  visitor: '192.0.2.0/24',
  priority: 'background',
  background: false,
  position: { seq: 12, identity: 'a-term' },
};

for (const { what, call } of [
  { what: 'for an owner', call: CALL },
  { what: 'for a shield, over http', call: { ...CALL, ask: 'shield', proto: 'http' } },
  { what: 'without a visitor', call: { ...CALL, visitor: undefined } },
  { what: 'that goes on without its requester', call: { ...CALL, background: true } },
  { what: 'without a priority', call: { ...CALL, priority: undefined } },
  { what: 'of a node that knows nothing of the journal', call: { ...CALL, position: { seq: 0, identity: undefined } } },
  { what: 'with an id that has to be escaped', call: { ...CALL, id: 'a"b\\c' } },
] as const) {
  test(`a call ${what} is read as it was written`, async (t) => {
    t.strictSame(
      readTierCall(
        [TIER_FIELD, formatTierCall(call, SECRET)],
        {},
        bySecret(() => SECRET),
      ),
      call,
    );
  });
}

test('a call without the secret is refused', async (t) => {
  const error = { code: 'unauthorised_tier' };
  t.throws(
    () =>
      readTierCall(
        [TIER_FIELD, formatTierCall(CALL, 'another one')],
        {},
        bySecret(() => SECRET),
      ),
    error,
  );
  t.throws(
    () =>
      readTierCall(
        [],
        {},
        bySecret(() => SECRET),
      ),
    error,
  );
});

for (const { what, version } of [
  { what: 'an ordinary response', version: { seq: 3, identity: 'a-term', wasFresh: false, isPersonal: false } },
  {
    what: 'a response that was fresh when it was asked for',
    version: { seq: 3, identity: 'a-term', wasFresh: true, isPersonal: false },
  },
  { what: 'a response for one visitor', version: { seq: 0, identity: undefined, wasFresh: false, isPersonal: true } },
]) {
  test(`the version of ${what} is read as it was written`, async (t) => {
    t.strictSame(readVersion([TIER_FIELD, formatVersion(version)]), version);
  });
}

test('a response that says nothing of its version has none', async (t) => {
  t.equal(readVersion([]), undefined);
});

/** Source of a fault as the node sees it that gets the error. */
const SEEN_AS: Record<FaultSource, FaultSource> = {
  here: 'target',
  target: 'beyond',
  beyond: 'beyond',
  requester: 'requester',
};

for (const code of Object.keys(HTTP_ERRORS) as HttpErrorCode[]) {
  test(`the error ${code} travels with its fault`, async (t) => {
    const error = new HttpError(code, 'detail');
    const relayed = relayedError(errorFields(error), 'eu-2');
    const source = error.fault.forNodes ?? SEEN_AS[error.fault.source];
    t.match(relayed?.fault, { source, sent: error.fault.sent, isAnswer: true });
    const isHidden = source === 'target' && HTTP_ERRORS[code].status < 500;
    t.equal(relayed?.code, isHidden ? 'origin_unreachable' : code, 'no fault of a node is a visitor’s');
  });
}

test('a response is no error, and a code of a newer version is an internal one', async (t) => {
  t.equal(relayedError(['Content-Type', 'text/html'], 'eu-2'), undefined);
  t.equal(relayedError(['Seawall-Error', 'not_known_yet'], 'eu-2')?.code, 'internal');
});

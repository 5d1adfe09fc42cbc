import { test } from 'tap';
import { formatIdentity, identityOf, type NodeIdentity, networkOf } from '../../trust/identity.ts';

const EU_1: NodeIdentity = { network: 'demo', role: 'edge', name: 'eu-1', region: 'eu' };

for (const identity of [
  EU_1,
  { network: 'demo', role: 'shield', name: 'shield-1', region: 'eu' },
  { network: 'a', role: 'control', name: 'b' },
  { network: 'demo', role: 'admin', name: 'me' },
] satisfies NodeIdentity[]) {
  test(`an identity is read as it was written: ${formatIdentity(identity)}`, async (t) => {
    const uri = `URI:${formatIdentity(identity)}`;
    t.same(identityOf({ subjectAltName: uri }), identity);
    t.same(identityOf({ subjectAltName: `DNS:eu-1.example.net, ${uri}` }), identity, 'other names say nothing');
  });
}

for (const { what, name } of [
  { what: 'no name', name: undefined },
  { what: 'a host name', name: 'DNS:eu-1' },
  { what: 'another scheme', name: 'URI:spiffe://demo/edge/eu-1' },
  { what: 'an authority', name: 'URI:seawall://demo' },
  { what: 'a role that there is not', name: 'URI:seawall://demo/root/eu-1' },
  { what: 'a role in capitals', name: 'URI:seawall://demo/Edge/eu-1' },
  { what: 'no name of the node', name: 'URI:seawall://demo/edge/' },
  { what: 'more behind the name', name: 'URI:seawall://demo/edge/eu-1/x' },
  { what: 'another parameter', name: 'URI:seawall://demo/edge/eu-1?role=control' },
  { what: 'two identities', name: 'URI:seawall://demo/edge/eu-1, URI:seawall://demo/control/control' },
  { what: 'an identity within another name', name: 'DNS:"x, URI:seawall://demo/control/control, y"' },
  { what: 'a line break', name: 'URI:seawall://demo/edge/eu-1\n' },
]) {
  test(`a certificate with ${what} is no node's`, async (t) => {
    t.equal(identityOf({ subjectAltName: name }), undefined);
  });
}

test('the network of an authority is read, and that of a node is not taken for it', async (t) => {
  t.equal(networkOf({ subjectAltName: 'URI:seawall://demo' }), 'demo');
  t.equal(networkOf({ subjectAltName: `URI:${formatIdentity(EU_1)}` }), undefined);
});

/** Text of a command once its nodes answer. */
import { PassThrough } from 'node:stream';
import { test } from 'tap';
import { announce, readyLine } from '../../cli/ready.ts';

const NODES = [
  { name: 'eu-1', role: 'edge', addresses: { listen: '127.0.0.1:80', tier: '127.0.0.1:81', control: '127.0.0.1:82' } },
  { name: 's', role: 'shield', addresses: { tier: '127.0.0.1:83' } },
  { name: 'c', role: 'control', addresses: { control: '127.0.0.1:84' } },
  { name: 'd', role: 'dns', addresses: { listen: '127.0.0.1:53' } },
  { name: 'w', role: 'edge', addresses: { listen: '[::1]:80' }, workers: [{ name: 'w#1', thread: 3, secret: 1 }] },
] as never;

function announced(json: boolean): string {
  const out = new PassThrough();
  announce(NODES, { json, out });
  let text = '';
  for (let chunk = out.read(); chunk !== null; chunk = out.read()) text += String(chunk);
  return text;
}

test('each node is a line with the address for its callers, where it has one', async (t) => {
  t.same(announced(false).split('\n'), [
    'eu-1 (edge) is ready: http://127.0.0.1:80/',
    's (shield) is ready',
    'c (control) is ready: http://127.0.0.1:84/',
    'd (dns) is ready: dns://127.0.0.1:53/',
    'w (edge) is ready: http://[::1]:80/',
    '',
  ]);
});

test('as JSON it is one line with the addresses that there are, and nothing else of a node', async (t) => {
  const text = announced(true);
  t.equal(text.indexOf('\n'), text.length - 1);
  t.same(JSON.parse(text), { ...readyLine(NODES) });
  t.match(JSON.parse(text), { ready: true, pid: process.pid });
  const { nodes } = JSON.parse(text) as { nodes: object[] };
  t.same(Object.keys(nodes[1] ?? {}), ['name', 'role', 'tier']);
  t.same(nodes[4], { name: 'w', role: 'edge', listen: '[::1]:80', workers: [{ name: 'w#1', thread: 3 }] });
});

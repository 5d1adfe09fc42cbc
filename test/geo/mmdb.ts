/**
 * Writes small .mmdb files, as https://maxmind.github.io/MaxMind-DB/ has them,
 * so that tests need not trust the reader about what is in one.
 * @module
 */
import { parseAddress } from '../../lib/address.ts';

export type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };

export interface MmdbOptions {
  readonly ipVersion?: 4 | 6;
  readonly recordSize?: 24 | 28 | 32;
  readonly type?: string;
  /** Networks, `192.0.2.0/24`, with their records; of nested ones the longer one has to come later. */
  readonly networks: readonly (readonly [network: string, record: Value])[];
}

type Node = [left: Child, right: Child];
/** Another node, the place of a record, or nothing. */
type Child = Node | number | undefined;

export function mmdb({ ipVersion = 4, recordSize = 28, type = 'Test-City', networks }: MmdbOptions): Buffer {
  const root: Node = [undefined, undefined];
  const data: Buffer[] = [];
  let dataLength = 0;
  for (const [network, record] of networks) {
    put(root, bitsOf(network, ipVersion), dataLength);
    const bytes = encode(record);
    data.push(bytes);
    dataLength += bytes.length;
  }
  const nodes: Node[] = [];
  collect(root, nodes);
  const place = new Map(nodes.map((node, index) => [node, index]));
  const recordOf = (child: Child): number => {
    if (child === undefined) return nodes.length;
    return typeof child === 'number' ? nodes.length + 16 + child : (place.get(child) as number);
  };
  const tree = nodes.map(([left, right]) => nodeBytes(recordOf(left), recordOf(right), recordSize));
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_767_225_600,
    database_type: type,
    description: {},
    ip_version: ipVersion,
    languages: [],
    node_count: nodes.length,
    record_size: recordSize,
  });
  const marker = Buffer.from('abcdef4d61784d696e642e636f6d', 'hex');
  return Buffer.concat([...tree, Buffer.alloc(16), ...data, marker, metadata]);
}

function bitsOf(network: string, ipVersion: 4 | 6): number[] {
  const [text = '', length] = network.split('/');
  const address = parseAddress(text);
  if (address === undefined) throw new TypeError(network);
  const bits = (value: number, width: number) =>
    Array.from({ length: width }, (_, i) => (value >>> (width - 1 - i)) & 1);
  const own = address.family === 4 ? bits(address.ipv4, 32) : address.groups.flatMap((group) => bits(group, 16));
  const kept = own.slice(0, Number(length));
  return ipVersion === 6 && address.family === 4 ? [...Array<number>(96).fill(0), ...kept] : kept;
}

function put(root: Node, bits: readonly number[], at: number): void {
  let node = root;
  for (const bit of bits.slice(0, -1)) {
    const child = node[bit as 0 | 1];
    const next: Node = Array.isArray(child) ? child : [child, child];
    node[bit as 0 | 1] = next;
    node = next;
  }
  node[bits.at(-1) as 0 | 1] = at;
}

function collect(node: Node, nodes: Node[]): void {
  nodes.push(node);
  for (const child of node) if (Array.isArray(child)) collect(child, nodes);
}

function nodeBytes(left: number, right: number, recordSize: number): Buffer {
  const bytes = Buffer.alloc(recordSize / 4);
  if (recordSize === 28) {
    bytes.writeUIntBE(left & 0xffffff, 0, 3);
    bytes.writeUInt8(((left >>> 24) << 4) | (right >>> 24), 3);
    bytes.writeUIntBE(right & 0xffffff, 4, 3);
  } else {
    bytes.writeUIntBE(left, 0, recordSize / 8);
    bytes.writeUIntBE(right, recordSize / 8, recordSize / 8);
  }
  return bytes;
}

function encode(value: Value): Buffer {
  if (typeof value === 'string') return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)]);
  if (typeof value === 'boolean') return control(14, value ? 1 : 0);
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 ? unsigned(value) : double(value);
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)]);
  const entries = Object.entries(value as { readonly [key: string]: Value });
  return Buffer.concat([control(7, entries.length), ...entries.flatMap(([key, item]) => [encode(key), encode(item)])]);
}

function unsigned(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return Buffer.concat([control(6, 4), bytes]);
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return Buffer.concat([control(3, 8), bytes]);
}

/** Type and size; sizes of 285 and more are not needed here. */
function control(type: number, size: number): Buffer {
  const [low, more] = size < 29 ? [size, []] : [29, [size - 29]];
  return type > 7 ? Buffer.from([low, type - 7, ...more]) : Buffer.from([(type << 5) | low, ...more]);
}

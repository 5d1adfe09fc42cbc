/**
 * The header blocks of a hostile client (RFC 7541): fields are put into the
 * table of the connection once, and named by a byte each from then on.
 * @module
 */

export type Field = readonly [name: string, value: string];

/** The table that a server keeps for its client by default, and what a field takes of it besides its text. */
const TABLE_BYTES = 4_096;
const OVERHEAD = 32;

/** Entries of the static table (RFC 7541, appendix A). */
const STATIC_ENTRIES = 61;

/** A block that adds each field to the table. @throws {Error} when they do not all stay there. */
export function indexing(fields: readonly Field[]): Buffer {
  const bytes = fields.reduce((sum, [name, value]) => sum + name.length + value.length + OVERHEAD, 0);
  if (bytes > TABLE_BYTES) throw new Error(`${bytes} bytes do not go into the table`);
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0x40]), text(name), text(value)]));
}

/** A block that names fields that `indexing` has added, by their place in its list, in any order and number. */
export function indexed(count: number, places: readonly number[]): Buffer {
  return Buffer.concat(places.map((place) => integer(0x80, 0x7f, STATIC_ENTRIES + count - place)));
}

/** Fields that stay out of the table. */
export function literal(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(0, 0x7f, bytes.length), bytes]);
}

/** RFC 7541, section 5.1. @param most - What the prefix can hold. */
function integer(flags: number, most: number, value: number): Buffer {
  if (value < most) return Buffer.from([flags | value]);
  const bytes = [flags | most];
  let left = value - most;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Buffer.from([...bytes, left]);
}

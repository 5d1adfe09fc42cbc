/**
 * Appends to the journal in the file named by its argument until it is killed,
 * and prints the numbers of each append that was acknowledged.
 */
import { writeSync } from 'node:fs';
import { openEmbeddedJournal } from '../../journal/embedded.ts';
import { wallNow } from '../../lib/clock.ts';
import { aPurge } from './contract.ts';

const STDOUT = 1;
const journal = openEmbeddedJournal(process.argv[2] as string, { now: wallNow });

/** Each appends on its own, so that some share a transaction. */
async function append(writer: number): Promise<never> {
  for (let round = 0; ; round += 1) {
    const names = Array.from({ length: 1 + (round % 4) }, (_, index) => `${process.pid}/${writer}/${round}/${index}`);
    const { first } = await journal.append(names.map((selector) => aPurge({ selector })));
    writeSync(STDOUT, names.map((name, index) => `${first + index} ${name}\n`).join(''));
  }
}

await Promise.all([0, 1, 2].map(append));

/**
 * A worker that says the kinds of messages in its arguments at once, then leaves a mark, and ends when it is told to.
 * @module
 */
import { writeFileSync } from 'node:fs';

const [mark = '', ...kinds] = process.argv.slice(2);
for (const kind of kinds) process.send?.({ kind });
writeFileSync(mark, '');
process.on('message', () => process.exit());

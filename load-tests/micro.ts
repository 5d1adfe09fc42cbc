/**
 * `npm run bench:micro`: what the parts of a hit cost in time, and what is held
 * in memory.
 * @module
 */
import { readArguments } from '../test/support/arguments.ts';
import { nanosecondsPer } from './micro/measure.ts';
import { memory } from './micro/memory.ts';
import { subjects } from './micro/subjects.ts';
import { print } from './report.ts';

const HELP = `Usage: npm run bench:micro

What the parts of a hit cost in time, and what is held in memory. A promise about memory
that is not kept makes the command exit with 1.

Options:
  --help  Say this.
`;
readArguments('bench:micro', HELP, {});

print('Memory', await memory());
print(
  'Nanoseconds per operation, the median',
  subjects().map(({ what, call }) => ({ what, value: `${nanosecondsPer(call).toFixed(0)} ns` })),
);

/**
 * `npm run bench:micro`: what the parts of a hit cost in time, and what is held
 * in memory.
 * @module
 */
import { nanosecondsPer } from './micro/measure.ts';
import { memory } from './micro/memory.ts';
import { subjects } from './micro/subjects.ts';
import { print } from './report.ts';

print('Memory', await memory());
print(
  'Nanoseconds per operation, the median',
  subjects().map(({ what, call }) => ({ what, value: `${nanosecondsPer(call).toFixed(0)} ns` })),
);

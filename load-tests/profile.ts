/**
 * `npm run profile -- FILE.cpuprofile`: the functions of a CPU profile that took most time themselves.
 * @module
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { readArguments } from '../test/support/arguments.ts';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const ROWS = 25;

const HELP = `Usage: npm run profile -- FILE.cpuprofile

The functions of a CPU profile that took most time themselves. \`node --cpu-prof\`
writes such files.

Options:
  --help  Say this.
`;

const { operand, refuse } = readArguments('profile', HELP, {}, { takesOperand: true });
const file = operand ?? refuse('name a file that node --cpu-prof has written');
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8')) as Profile;
const names = new Map(
  nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
    const path = url.startsWith('file://') ? relative(process.cwd(), new URL(url).pathname) : url;
    return [id, `${functionName || '(anonymous)'} ${path}${path && `:${lineNumber + 1}`}`.trim()];
  }),
);
const self = new Map<string, number>();
samples.forEach((id, at) => {
  const name = names.get(id) ?? '';
  self.set(name, (self.get(name) ?? 0) + (timeDeltas[at] ?? 0));
});
self.delete('(idle)');
const total = [...self.values()].reduce((sum, one) => sum + one, 0);
console.log(`${(total / 1_000).toFixed(0)} ms of processor time`);
for (const [name, time] of [...self].sort(([, a], [, b]) => b - a).slice(0, ROWS)) {
  console.log(`${((100 * time) / total).toFixed(1).padStart(5)} %  ${name}`);
}

/** The small programs in C, compiled where there is a compiler. @module */
import { basename, join } from 'node:path';
import { printed, programOf, run, temporaryFolder } from './processes.ts';

const LIMIT_MS = 60_000;

const programs = new Map<string, Promise<string>>();
let folder: string | undefined;

export interface Compiler {
  readonly program: string;
  readonly version: string;
}

/** @returns The C compiler of this machine, if it has one. */
export function compiler(): Compiler | undefined {
  const program = programOf('cc') ?? programOf('gcc') ?? programOf('clang');
  return program === undefined
    ? undefined
    : { program, version: printed([program, '--version']).split('\n')[0] ?? 'unknown' };
}

/** @param source - A `.c` file. @returns The program; it is made once. */
export function compiled(source: string): Promise<string> {
  const known = programs.get(source) ?? compile(source);
  programs.set(source, known);
  return known;
}

async function compile(source: string): Promise<string> {
  const found = compiler();
  if (!found) throw new Error('there is no C compiler');
  folder ??= temporaryFolder('programs');
  const target = join(folder, basename(source, '.c'));
  await run(basename(source), [found.program, '-O2', '-o', target, source], { limitMs: LIMIT_MS });
  return target;
}

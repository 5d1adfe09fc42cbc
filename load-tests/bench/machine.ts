/** Machine and versions that the numbers were measured with. @module */
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { canPin, printed } from './processes.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  /** Server on one processor, load generator and origin on another. */
  readonly isPinned: boolean;
}

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${type()} ${release()}`,
    node: process.version,
    isPinned: canPin(),
  };
}

export function describeCommit(): { commit: string; isChanged: boolean } {
  const git = (...args: string[]): string => printed(['git', '-C', ROOT, ...args]).trim();
  return {
    commit: git('rev-parse', '--short=12', 'HEAD') || 'unknown',
    // Results themselves do not make a difference.
    isChanged:
      git('status', '--porcelain', '--untracked-files=no', '--', '*.ts', '*.json')
        .replace(/^.*load-tests\/results.*$/gm, '')
        .trim() !== '',
  };
}

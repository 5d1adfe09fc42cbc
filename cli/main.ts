/**
 * The commands: finds the one that is asked for, and says how it ended.
 * @module
 */
import { nearest } from '../config/nearest.ts';
import { quote } from '../config/problem.ts';
import type { Command } from './command.ts';
import { describeFailure, UsageError } from './failure.ts';
import { endWithReader, print, say } from './output.ts';
import { VERSION_TEXT } from './version-text.ts';

/** Commands that run nodes: such a process loads none of the others, whose memory it would keep. */
const RUNNING: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serve,
  start: async () => (await import('./start.ts')).start,
};

async function main([name, ...args]: readonly string[]): Promise<number> {
  const running = name !== undefined && Object.hasOwn(RUNNING, name) ? RUNNING[name] : undefined;
  if (running !== undefined) return (await running()).run(args);
  const { COMMANDS, HELP } = await import('./commands.ts');
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (name === '--version' || name === '-V' || name === 'version') {
    print(VERSION_TEXT);
    return 0;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (!command) {
    const names = COMMANDS.map((candidate) => candidate.name);
    const near = nearest(name, names);
    throw new UsageError(
      `there is no command ${quote(name)}`,
      near ? `Did you mean ${near}?` : `The commands are ${names.join(', ')}.`,
    );
  }
  return command.run(args);
}

process.stdout.on('error', endWithReader);

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const { lines, exitCode } = describeFailure(error);
  for (const line of lines) say(`seawall: ${line}`);
  process.exit(exitCode);
}

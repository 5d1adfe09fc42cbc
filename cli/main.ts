/**
 * The commands: finds the one that is asked for, and says how it ended.
 * @module
 */
import { nearest } from '../config/nearest.ts';
import { quote } from '../config/problem.ts';
import { COMMANDS, HELP } from './commands.ts';
import { describeFailure, UsageError } from './failure.ts';
import { endWithReader, print, say } from './output.ts';
import { VERSION_TEXT } from './version-text.ts';

async function main([name, ...args]: readonly string[]): Promise<number> {
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

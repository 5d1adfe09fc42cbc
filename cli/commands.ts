/**
 * The list of subcommands, for dispatch, help and docs/cli.md.
 * @module
 */
import { audit } from './audit.ts';
import { ca } from './ca.ts';
import { check } from './check.ts';
import { type Command, columns, PROGRAM } from './command.ts';
import { completionCommand } from './completion/command.ts';
import { control } from './control.ts';
import { explain } from './explain.ts';
import { job } from './job.ts';
import { node } from './node.ts';
import { purge } from './purge.ts';
import { replay } from './replay.ts';
import { serve } from './serve.ts';
import { start } from './start.ts';
import { status } from './status.ts';
import { token } from './token.ts';
import { where } from './where.ts';

export const COMMANDS: readonly Command[] = [
  serve,
  start,
  check,
  purge,
  job,
  token,
  status,
  explain,
  replay,
  node,
  control,
  audit,
  ca,
  where,
  completionCommand(() => COMMANDS),
];

/** Help of the program itself. */
export const HELP: string = [
  `Usage: ${PROGRAM} COMMAND [options]`,
  '',
  'Seawall is a content delivery network that you run yourself.',
  '',
  'Commands:',
  ...columns(COMMANDS.map(({ name, summary }) => [name, summary])),
  '',
  `${PROGRAM} COMMAND --help says what a command takes, --version which Seawall this is.`,
  ...(PROGRAM === 'seawall' ? [] : ['npm start runs a whole network to try.']),
  '',
].join('\n');

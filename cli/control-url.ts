/**
 * Finds the control node for a command.
 * @module
 */
import { quote } from '../config/problem.ts';
import { UsageError } from './failure.ts';

export const DEFAULT_CONTROL = 'http://127.0.0.1:8900';

/**
 * @param option - `--control`, if it was given; else the environment says it.
 * @throws {UsageError} when it is no URL.
 */
export function controlUrl(option: string | undefined, path: string): URL {
  const [source, text] =
    option === undefined
      ? ['SEAWALL_CONTROL', process.env['SEAWALL_CONTROL'] || DEFAULT_CONTROL]
      : ['--control', option];
  const url = URL.parse(path, text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new UsageError(`${source}: ${quote(text)} is not a URL`, `Write it as ${DEFAULT_CONTROL}.`);
}

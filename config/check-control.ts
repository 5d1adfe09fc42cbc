/**
 * Contradictions in the settings of a control node's journal.
 * @module
 */
import type { ConfigProblem, KeyPath } from './problem.ts';
import type { Placed, RegionBody } from './read.ts';

/** @returns A problem for each key that means nothing beside the others, or lacks another one. */
export function controlProblems({ config: { control }, source }: Placed<RegionBody>): ConfigProblem[] {
  const etcd = control?.journal?.etcd;
  if (etcd === undefined) return [];
  const { endpoints, tls, username, password, password_file: passwordFile } = etcd;
  const problem = (path: KeyPath, message: string, fix: string): ConfigProblem =>
    source.problem(['control', 'journal', 'etcd', ...path], message, fix);
  const problems: ConfigProblem[] = [];
  if (password !== undefined && passwordFile !== undefined) {
    problems.push(problem(['password_file'], '`password` is there as well', 'Keep one of the two.'));
  }
  const hasPassword = password !== undefined || passwordFile !== undefined;
  if (username === undefined && hasPassword) {
    const key = password === undefined ? 'password_file' : 'password';
    problems.push(problem([key], 'there is no `username`', 'Add `username`, or remove the password.'));
  }
  if (username !== undefined && !hasPassword) {
    problems.push(problem(['username'], 'there is no password', 'Add `password` or `password_file`.'));
  }
  if ((tls?.cert_file === undefined) !== (tls?.key_file === undefined)) {
    const [there, missing] = tls?.cert_file === undefined ? ['key_file', 'cert_file'] : ['cert_file', 'key_file'];
    problems.push(problem(['tls', there], `there is no \`${missing}\``, `Add \`${missing}\`, or remove \`${there}\`.`));
  }
  const schemes = new Set(endpoints.map((endpoint) => endpoint.split(':')[0]));
  if (tls !== undefined && schemes.has('http')) {
    const index = endpoints.findIndex((endpoint) => endpoint.startsWith('http:'));
    problems.push(
      problem(['endpoints', index], 'it is not encrypted, and `tls` is there', 'Write https://, or remove `tls`.'),
    );
  } else if (schemes.size > 1) {
    problems.push(problem(['endpoints'], 'some begin with http://, some with https://', 'Write all with the same.'));
  }
  return problems;
}

/**
 * Calls of a control node's API by commands, with the token, and their errors in the words of the command.
 * @module
 */
import type { FieldProblem, ProblemDocument } from '../control/errors.ts';
import type { Options } from './command.ts';
import { DEFAULT_CONTROL } from './control-url.ts';
import { Failure, UsageError } from './failure.ts';
import { say } from './output.ts';

/** Options of every command that calls the API with a token. */
export const CONTROL_OPTIONS = {
  token: {
    type: 'text',
    value: 'TOKEN',
    help: 'The token. Command lines are visible in ps: prefer $SEAWALL_TOKEN, the default.',
  },
  control: {
    type: 'text',
    value: 'URL',
    help: `The control node. By default $SEAWALL_CONTROL, else ${DEFAULT_CONTROL}.`,
  },
  json: { type: 'flag', help: 'Print the JSON response.' },
} as const satisfies Options;

/** @throws {UsageError} when there is no token, or what cannot be one. */
export function tokenOf(option: string | undefined): string {
  const token = option ?? process.env['SEAWALL_TOKEN'];
  if (!token) throw new UsageError('there is no token', 'Set SEAWALL_TOKEN, or give --token.');
  if (!/^[\x21-\x7e]+$/.test(token)) throw new UsageError('the token has characters that no token has', '');
  return token;
}

export interface ControlCall {
  readonly method?: 'GET' | 'POST';
  readonly token: string;
  /** Sent as JSON. */
  readonly body?: object;
  readonly idempotencyKey?: string | undefined;
  readonly signal?: AbortSignal;
}

/** A control node has not answered. */
export interface Unanswered {
  readonly reason: string;
  /** True if the call has had no effect. */
  readonly isRefused: boolean;
}

/** Calls the control node. Never rejects. */
export async function callControl(url: URL, call: ControlCall): Promise<Response | Unanswered> {
  const { method = 'GET', token, body, idempotencyKey, signal } = call;
  try {
    return await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: 'error', // a token must not reach another host
      ...(signal !== undefined && { signal }),
    });
  } catch (error) {
    const { message, cause } = error as Error;
    const { code } = (cause ?? {}) as NodeJS.ErrnoException;
    const reason = cause instanceof Error ? cause.message || String(code) : message;
    return { reason, isRefused: code === 'ECONNREFUSED' };
  }
}

/** Returns the place of a problem in the command line. */
export type PlaceOf = (problem: FieldProblem) => string | undefined;

/** Prints why a call was refused, in the words of the command. */
export function sayRefusal({ title, detail, errors = [] }: ProblemDocument, placeOf: PlaceOf): void {
  say(`seawall: ${[title, detail].filter(Boolean).join(' ')}`);
  for (const problem of errors) {
    const place = placeOf(problem);
    const fix = problem.fix.replaceAll('`site`', '--site');
    say(`seawall: ${place ? `${place}: ` : ''}${problem.detail}. Fix: ${fix}`);
  }
}

/**
 * Reads an answer of the API, a refusal included.
 *
 * @throws {Failure} when it is something else than a control node that has answered.
 */
export async function answerOf<Answer>(url: URL, response: Response): Promise<Answer> {
  try {
    return (await response.json()) as Answer;
  } catch {
    throw new Failure(foreignAnswer(url, response.status));
  }
}

/** Shows what a control node has answered that does not speak its language. */
export function foreignAnswer(url: URL, status: number): string {
  return `${url.origin} answered ${status}, but not as a control node does`;
}

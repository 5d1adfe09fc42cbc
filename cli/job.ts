/**
 * `seawall job`: starts jobs, which nodes work on, and says how far they are.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { quote } from '../config/problem.ts';
import type { FieldProblem, ProblemDocument } from '../control/errors.ts';
import { type JobAnswer, type JobSummary, MAX_JOB_URLS } from '../control/jobs/schemas.ts';
import { millisecondsOf, monotonicNow, msSince } from '../lib/clock.ts';
import { actionOf } from './action.ts';
import { columns, defineCommand } from './command.ts';
import { answerOf, CONTROL_OPTIONS, callControl, foreignAnswer, sayRefusal, tokenOf } from './control-api.ts';
import { controlUrl } from './control-url.ts';
import { EXIT_FAILURE, Failure, UsageError } from './failure.ts';
import { print, say } from './output.ts';
import { progressBar } from './progress-bar.ts';
import { sitemapUrls } from './sitemap.ts';

const ACTIONS = ['warm', 'list', 'show', 'results', 'wait', 'cancel', 'retry', 'dead'] as const;

/** Time between two looks at a job. */
const LOOK_MS = 500;

/** Time for which a control node that does not answer is waited for: it may be starting again. */
const PATIENCE_MS = 60_000;

/** Option that each member of the body comes from. */
const OPTIONS: Readonly<Record<string, string>> = {
  regions: 'region',
  rate: 'rate',
  accept_encoding: 'accept-encoding',
  reason: 'reason',
};

export const job = defineCommand({
  name: 'job',
  summary: 'Fill caches before visitors come: start jobs, follow and end them.',
  about: `
Jobs are kept by the control node and worked on by the nodes; they go on when a node or
the control node ends.

warm     asks for URLs as visitors do, so that they are stored: those in FILE, one a
         line (- reads standard input), those of --url and of --sitemap.
list     shows the jobs that are kept, newest first.
show     shows a job. ID is what warm prints.
results  prints what came of each URL, as lines of JSON.
wait     waits until a job has ended, and shows how far it is.
cancel   ends a job; what was done stays.
retry    tries once more what has failed.
dead     prints the URLs of all jobs that have failed, as lines of JSON.

warm, wait and retry wait for the end. They exit with 0 when every URL was answered,
with ${EXIT_FAILURE} when some have failed, or the job was ended before.`,
  operands: 'warm|list|show|results|wait|cancel|retry|dead [FILE|ID]',
  options: {
    url: { type: 'list', value: 'URL', help: 'Warm a URL. Can be repeated.' },
    sitemap: {
      type: 'list',
      value: 'URL',
      help: 'Warm the URLs of a sitemap, or of an index, which this command fetches. Can be repeated.',
    },
    region: { type: 'list', value: 'NAME', help: 'A region in which it is done. Can be repeated. Default: all.' },
    rate: { type: 'text', value: 'NUMBER', help: 'Requests a second in each region. Default: 50.' },
    'accept-encoding': {
      type: 'list',
      value: 'VALUE',
      help: 'Ask for each URL with this Accept-Encoding. Can be repeated. Default: as browsers do.',
    },
    reason: { type: 'text', value: 'TEXT', help: 'Reason to record with the job.' },
    key: { type: 'text', value: 'KEY', help: 'Idempotency key: a retry with the same key starts no other job.' },
    failed: { type: 'flag', help: 'results: only URLs that have failed.' },
    'no-wait': { type: 'flag', help: 'Return once the job is in the queue.' },
    ...CONTROL_OPTIONS,
  },
  examples: [
    'warm urls.txt --region eu --rate 100',
    'warm --url https://www.example.com/ --url https://www.example.com/news',
    'warm --sitemap https://www.example.com/sitemap.xml --rate 20',
    'list',
    'results 0mj2k4xqz-0123456789ab --failed',
    'retry 0mj2k4xqz-0123456789ab',
  ],

  async run(options, [action, operand, ...more]) {
    const wanted = actionOf(ACTIONS, action);
    if (more[0] !== undefined) throw new UsageError(`${quote(more[0])} is not expected here`, '');
    const token = tokenOf(options.token);
    const calls = new Calls(options.control, token, options.json);
    switch (wanted) {
      case 'warm':
        return warm(calls, operand, options);
      case 'list':
        none(operand, 'list');
        return list(calls);
      case 'dead':
        none(operand, 'dead');
        return calls.copy('/v1/jobs/dead-letters');
      case 'show':
        return shown(calls, await calls.get<JobAnswer>(pathOf(operand, wanted)));
      case 'results':
        return calls.copy(`${pathOf(operand, wanted)}/results${options.failed ? '?outcome=failed' : ''}`);
      case 'wait':
        return waited(calls, await calls.get<JobAnswer>(pathOf(operand, wanted)));
      case 'cancel':
        return shown(calls, await calls.post<JobAnswer>(`${pathOf(operand, wanted)}/cancel`));
      case 'retry': {
        const retried = await calls.post<JobAnswer>(`${pathOf(operand, wanted)}/retry`);
        return options['no-wait'] ? shown(calls, retried) : waited(calls, retried);
      }
    }
  },
});

interface WarmOptions {
  readonly url: readonly string[];
  readonly sitemap: readonly string[];
  readonly region: readonly string[];
  readonly rate: string | undefined;
  readonly 'accept-encoding': readonly string[];
  readonly reason: string | undefined;
  readonly key: string | undefined;
  readonly 'no-wait': boolean;
}

async function warm(calls: Calls, file: string | undefined, options: WarmOptions): Promise<number> {
  const { url, region, rate, reason, key = randomUUID() } = options;
  const fromFile = file === undefined ? [] : await linesOf(file);
  const named = [...url, ...fromFile];
  const urls = [...named, ...(await sitemapsOf(options.sitemap))];
  if (urls.length === 0) {
    throw new UsageError(
      'no URL is named',
      'Name a FILE with a URL a line, - for standard input, or give --url or --sitemap.',
    );
  }
  const body = {
    kind: 'warm',
    urls,
    ...(region.length > 0 && { regions: region }),
    ...(rate !== undefined && { rate: numberOf('rate', rate) }),
    ...(options['accept-encoding'].length > 0 && { accept_encoding: options['accept-encoding'] }),
    ...(reason !== undefined && { reason }),
  };
  const place = ({ pointer, header, parameter }: FieldProblem): string | undefined => {
    const [, member = '', index] = (pointer ?? '').split('/');
    if (pointer === undefined) return header ?? parameter;
    if (member !== 'urls') return `--${OPTIONS[member] ?? member}`;
    const at = Number(index);
    if (index === undefined) return file ?? (url.length > 0 ? '--url' : '--sitemap');
    if (at >= named.length) return `--sitemap, URL ${at - named.length + 1} (${urls[at]})`;
    return at < url.length ? `--url (number ${at + 1})` : `${file}, URL ${at - url.length + 1}`;
  };
  const made = await calls.post<JobAnswer>('/v1/jobs', body, key, place);
  if (options['no-wait']) return shown(calls, made);
  say(`Job ${made.id}: ${made.total} requests`);
  return waited(calls, made);
}

/** URLs of a file, without empty lines and those that begin with `#`. */
async function linesOf(file: string): Promise<string[]> {
  const urls: string[] = [];
  const input = file === '-' ? process.stdin : createReadStream(file, 'utf8');
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    urls.push(text);
    // One more is refused by the control node, which says so.
    if (urls.length > MAX_JOB_URLS) break;
  }
  return urls;
}

/** @throws {UsageError} for what is no URL; {Failure} for what cannot be read. */
async function sitemapsOf(sitemaps: readonly string[]): Promise<string[]> {
  const urls: string[] = [];
  for (const sitemap of sitemaps) {
    if (!/^https?:$/.test(URL.parse(sitemap)?.protocol ?? '')) {
      throw new UsageError(`--sitemap: ${quote(sitemap)} is not a URL`, 'Write https://www.example.com/sitemap.xml.');
    }
    urls.push(...(await sitemapUrls(sitemap, MAX_JOB_URLS - urls.length)));
  }
  return urls;
}

function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number)) return number;
  throw new UsageError(`--${option}: ${quote(text)} is not a number`, 'Write it as 50 or 0.5.');
}

function none(operand: string | undefined, action: string): void {
  if (operand !== undefined) throw new UsageError(`${quote(operand)} is not expected here`, `Write job ${action}.`);
}

/** @throws {UsageError} when no job is named, or what cannot be one. */
function pathOf(id: string | undefined, action: string): string {
  if (id === undefined) throw new UsageError('no job is named', `Write job ${action} ID, with an id of job list.`);
  if (!/^[\w-]{1,64}$/.test(id)) throw new UsageError(`${quote(id)} is no id of a job`, 'job list shows the ids.');
  return `/v1/jobs/${id}`;
}

async function list(calls: Calls): Promise<number> {
  const { jobs } = await calls.get<{ jobs: JobSummary[] }>('/v1/jobs?limit=100');
  if (calls.json) print(JSON.stringify({ jobs }));
  else if (jobs.length === 0) print('There are no jobs.');
  else for (const line of columns(jobs.map((one) => [one.id, describe(one)]))) print(line.trim());
  return 0;
}

function shown(calls: Calls, answer: JobAnswer): number {
  if (calls.json) print(JSON.stringify(answer));
  else {
    print(`Job ${answer.id}: ${describe(answer)}`);
    for (const line of columns(answer.regions.map((one) => [one.region, laneWords(one)]))) print(line);
  }
  return 0;
}

async function waited(calls: Calls, started: JobAnswer): Promise<number> {
  const bar = progressBar(process.stderr, () => millisecondsOf(monotonicNow()));
  let answer = started;
  let answeredAt = monotonicNow();
  while (answer.ended === null) {
    bar.show(answer.done, answer.total, failedWords(answer));
    await wait(LOOK_MS);
    try {
      answer = await calls.get<JobAnswer>(`/v1/jobs/${answer.id}`);
      answeredAt = monotonicNow();
    } catch (error) {
      if (!(error instanceof UnansweredFailure) || msSince(answeredAt) > PATIENCE_MS) throw error;
    }
  }
  bar.show(answer.done, answer.total, failedWords(answer));
  bar.end();
  shown(calls, answer);
  const { failed } = answer.counts;
  if (failed > 0)
    say(`job results ${answer.id} --failed prints what failed, job retry ${answer.id} tries it once more`);
  return answer.state === 'done' && failed === 0 ? 0 : EXIT_FAILURE;
}

function failedWords({ counts: { failed } }: JobSummary): string {
  return failed === 0 ? '' : `${failed} failed`;
}

function describe({ kind, state, done, total, counts, created }: JobSummary): string {
  const { stored, fresh, not_stored: notStored, failed } = counts;
  const came = `${stored} stored, ${fresh} fresh before, ${notStored} not stored, ${failed} failed`;
  return `${kind}, ${state}, ${done} of ${total}: ${came}; since ${created}`;
}

function laneWords({ state, node, done, counts }: JobAnswer['regions'][number]): string {
  const where = state === 'working' ? `${node} works on it` : state === 'ended' ? 'ended' : 'waits for a node';
  return `${where}, ${done} done, ${counts.failed} failed`;
}

/** The control node has not answered. */
class UnansweredFailure extends Failure {}

/** Calls of the control node, for one command. */
class Calls {
  readonly #control: string | undefined;
  readonly #token: string;
  readonly json: boolean;

  constructor(control: string | undefined, token: string, json: boolean) {
    this.#control = control;
    this.#token = token;
    this.json = json;
  }

  get<Answer>(path: string): Promise<Answer> {
    return this.#call<Answer>(path, {}, () => undefined);
  }

  post<Answer>(
    path: string,
    body?: object,
    idempotencyKey?: string,
    place: (problem: FieldProblem) => string | undefined = () => undefined,
  ): Promise<Answer> {
    return this.#call<Answer>(path, { method: 'POST', ...(body && { body }), idempotencyKey }, place);
  }

  /** Copies an answer to standard output. @returns The exit code. */
  async copy(path: string): Promise<number> {
    const response = await this.#response(path, {}, () => undefined);
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) process.stdout.write(decoder.decode(chunk, { stream: true }));
    return 0;
  }

  async #call<Answer>(
    path: string,
    call: Omit<Parameters<typeof callControl>[1], 'token'>,
    place: (problem: FieldProblem) => string | undefined,
  ): Promise<Answer> {
    const response = await this.#response(path, call, place);
    return answerOf(new URL(response.url), response);
  }

  /** @throws {Failure} if it is refused; what is to be mended is printed by then. */
  async #response(
    path: string,
    call: Omit<Parameters<typeof callControl>[1], 'token'>,
    place: (problem: FieldProblem) => string | undefined,
  ): Promise<Response> {
    const url = controlUrl(this.#control, path);
    const response = await callControl(url, { ...call, token: this.#token });
    if ('reason' in response) {
      const fix = response.isRefused ? '. Is it the control node of the region file? --control names another' : '';
      throw new UnansweredFailure(`${url.origin} does not answer (${response.reason})${fix}`);
    }
    if (response.ok) return response;
    const problem = (await response.json().catch(() => undefined)) as ProblemDocument | undefined;
    if (problem?.code === undefined) throw new Failure(foreignAnswer(url, response.status));
    sayRefusal({ ...problem, errors: (problem.errors ?? []).slice(0, MAX_PRINTED) }, place);
    throw new Failure(`the control node refuses (${problem.code})`);
  }
}

/** Problems of a refusal that are printed. */
const MAX_PRINTED = 20;

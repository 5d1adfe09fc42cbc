/**
 * Addresses of the dashboard, below `/dashboard/`: pages, their files, what keeps them up to date, and forms.
 *
 * An operator signs in with a token, once, in the body of a form, and has a session from then on (sessions.ts). Every
 * form says which session it is of, and is refused if the browser says that it comes from elsewhere.
 * @module
 */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { controlHostFix, isControlHost } from '../../telemetry/control-hosts.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { AuditLog } from '../audit.ts';
import { ApiError } from '../errors.ts';
import type { Caller, PurgeAnswer, PurgeApi } from '../purge-api.ts';
import { reported } from '../server.ts';
import { DRAIN, SCOPE_KINDS } from '../tokens.ts';
import { readAssets } from './assets.ts';
import { documentOf, FIELDS } from './document.ts';
import { LivePages } from './live.ts';
import type { Filter, Health, PageName, Reader } from './model.ts';
import { PAGE_NAMES, type PageParts, Pages, problemText } from './pages.ts';
import { isOfSession, type Session, type Sessions, sessionCookie, sessionIdIn } from './sessions.ts';
import { frame, notice, refused, signIn, titleOf } from './views/forms.js';
import type { Markup } from './views/html.js';
import { page as markupOf } from './views/pages.js';

export interface DashboardParts extends PageParts {
  readonly api: PurgeApi;
  readonly audit: AuditLog;
  readonly sessions: Sessions;
  /** Names that it answers under. */
  readonly hosts: () => readonly string[];
  readonly log: Logger;
}

export const DASHBOARD = '/dashboard';

const MAX_FORM_BYTES = 256 * 1024;
const MAX_NAME = 63;
const MAX_URL = 4_096;
const RETRY_MS = 3_000;

/** A request of a reader who has signed in. */
interface Signed {
  readonly caller: Caller;
  readonly session: Session;
}

/** @returns The pages that are open: to be closed before the server is. */
export function addDashboard(server: FastifyInstance, parts: DashboardParts): LivePages {
  const { api, audit, sessions, hosts, log } = parts;
  const pages = new Pages(parts);
  const assets = readAssets();
  const live = new LivePages({
    model: (page, caller, filter) => pages.model(page, caller, filter),
    viewOf: Pages.viewOf,
    problem: (error) => log.warn({ detail: (error as Error).message }, 'a page of the dashboard cannot be made'),
  });

  /** @returns `undefined` without a session, or where it or its token has ended. */
  async function signedIn(request: FastifyRequest, isUse = true): Promise<Signed | undefined> {
    const session = sessions.find(sessionIdIn(request.headers.cookie), isUse);
    if (session === undefined) return undefined;
    const caller = await api.recognise(session.token, request.ip);
    if (caller === undefined || !caller.token.read) {
      sessions.end(session.id);
      return undefined;
    }
    return { caller, session };
  }

  /** The same for a form. @throws {ApiError} `forbidden`. */
  async function signedForm(request: FastifyRequest): Promise<Signed & { readonly form: URLSearchParams }> {
    checkOrigin(request);
    const signed = await signedIn(request);
    if (signed === undefined) throw new ApiError('unauthorised', { detail: 'Sign in again.' });
    const form = request.body as URLSearchParams;
    if (!isOfSession(signed.session, form.get('csrf') ?? undefined)) {
      throw new ApiError('forbidden', { detail: 'The form is not of this session: load the page again.' });
    }
    return { ...signed, form };
  }

  async function sendPage(
    { caller, session }: Signed,
    request: FastifyRequest,
    reply: FastifyReply,
    page: PageName,
    message?: Markup,
  ): Promise<FastifyReply> {
    const query = new URLSearchParams(request.url.split('?')[1] ?? '');
    const url = page === 'explain' ? (query.get('url') ?? '').slice(0, MAX_URL) : '';
    if (url !== '') api.countCall(caller);
    const model = await pages.model(page, caller, filterOf(query), url);
    const body = frame(readerOf(caller, session), model, markupOf(model), message ?? null, randomUUID());
    return sendDocument(reply, documentOf({ title: titleOf(page), page, body }));
  }

  void server.register(
    async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser(
        'application/x-www-form-urlencoded',
        { parseAs: 'string', bodyLimit: MAX_FORM_BYTES },
        (_request, body, done) => done(null, new URLSearchParams(String(body))),
      );
      scope.addHook('onRequest', async ({ headers: { host } }, reply) => {
        for (const [name, value] of Object.entries(FIELDS)) reply.header(name, value);
        reply.header('cache-control', 'no-store');
        if (!isControlHost(host, hosts())) throw new ApiError('unknown_host', { detail: controlHostFix(host ?? '') });
      });
      scope.setNotFoundHandler(async () => {
        throw new ApiError('not_found');
      });
      scope.setErrorHandler((error, request, reply) => {
        const answered = reported(error, request, log);
        const { status, message, headers } = answered;
        const details = answered.errors.slice(0, 20).map(({ detail, fix }) => `${detail}. ${fix}`);
        const { 'www-authenticate': _, ...fields } = headers;
        const body = refused('That did not work', [message, ...details]);
        return sendDocument(reply.code(status).headers(fields), documentOf({ title: 'Refused', body }));
      });

      for (const page of PAGE_NAMES) {
        scope.get(page === 'overview' ? '/' : `/${page}`, async (request, reply) => {
          const signed = await signedIn(request);
          if (signed === undefined) return reply.redirect(`${DASHBOARD}/sign-in`, 303);
          return sendPage(signed, request, reply, page);
        });
      }

      scope.get('/assets/*', async (request, reply) => {
        const asset = assets.get((request.params as { '*': string })['*']);
        if (asset === undefined) throw new ApiError('not_found');
        reply.header('etag', asset.etag).header('cache-control', 'no-cache');
        if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send();
        return reply.header('content-type', asset.type).send(asset.body);
      });

      scope.get('/live', async (request, reply) => {
        const signed = await signedIn(request);
        if (signed === undefined) {
          return reply.header('content-type', 'text/event-stream').send('event: end\ndata: \n\n');
        }
        const { caller, session } = signed;
        if (!live.hasRoom(session.id)) {
          throw new ApiError('rate_limited', { detail: 'Too many pages are open.', headers: { 'retry-after': '15' } });
        }
        const query = new URLSearchParams(request.url.split('?')[1] ?? '');
        const page = PAGE_NAMES.find((name) => name === query.get('page') && name !== 'explain');
        if (page === undefined) throw new ApiError('not_found');
        reply.hijack();
        const { raw } = reply;
        raw.writeHead(200, { ...FIELDS, 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
        raw.write(`retry: ${RETRY_MS}\n\n`);
        const recognise = async () => (await signedIn(request, false))?.caller;
        live.add({ page, filter: filterOf(query), session: session.id, recognise }, caller, raw);
      });

      scope.get('/sign-in', async (request, reply) => {
        if ((await signedIn(request)) !== undefined) return reply.redirect(`${DASHBOARD}/`, 303);
        return sendDocument(reply, documentOf({ title: 'Sign in', body: signIn(null) }));
      });

      scope.post('/sign-in', async (request, reply) => {
        checkOrigin(request);
        const form = request.body as URLSearchParams;
        const refuse = (status: number, text: string) =>
          sendDocument(reply.code(status), documentOf({ title: 'Sign in', body: signIn(text) }));
        let caller: Caller;
        try {
          caller = await api.authenticate(form.get('token')?.trim(), request.ip, 'seawall');
        } catch (error) {
          if (error instanceof ApiError && error.status < 500) return refuse(error.status, problemText(error));
          throw error;
        }
        const { token, address } = caller;
        if (!token.read) return refuse(403, 'This token may not read; use one that was made with --read.');
        // The id that the browser came with, which another may have given it, is worth nothing from now on.
        const before = sessionIdIn(request.headers.cookie);
        if (before !== undefined) sessions.end(before);
        const session = sessions.begin(token.id);
        await audit.write({ who: token.name, token: token.id, address, action: 'sign in', result: 'ok' });
        return reply.header('set-cookie', sessionCookie(session.id, isSecure(request))).redirect(`${DASHBOARD}/`, 303);
      });

      scope.post('/sign-out', async (request, reply) => {
        const { session } = await signedForm(request);
        sessions.end(session.id);
        reply.header('set-cookie', sessionCookie(undefined, isSecure(request)));
        return reply.redirect(`${DASHBOARD}/sign-in`, 303);
      });

      scope.post('/purges', async (request, reply) => {
        const signed = await signedForm(request);
        const { caller, form } = signed;
        api.countCall(caller);
        const answer = await api.purge(caller, purgeOf(form), form.get('once') || undefined, NEVER_ABORTED);
        return sendPage(signed, request, reply, 'purges', purgeNotice(answer));
      });

      scope.post('/regions', async (request, reply) => {
        const signed = await signedForm(request);
        const { caller, form } = signed;
        api.countCall(caller);
        const action = form.get('action') === 'undrain' ? 'undrain' : 'drain';
        const name = form.get('region') ?? '';
        const body = action === 'drain' ? { reason: form.get('reason') ?? '' } : undefined;
        await pages.call('POST', `/v1/regions/:name/${action}`, { caller, params: { name }, body });
        const text = action === 'drain' ? `Region ${name} is drained.` : `Visitors come back to region ${name}.`;
        return sendPage(signed, request, reply, 'network', notice('ok', text));
      });
    },
    { prefix: DASHBOARD },
  );
  return live;
}

const NEVER_ABORTED = new AbortController().signal;

function sendDocument(reply: FastifyReply, text: string): FastifyReply {
  return reply.header('content-type', 'text/html; charset=utf-8').send(text);
}

/** Behind a proxy that terminates TLS; what a visitor sends itself makes only its own cookie stricter. */
function isSecure({ headers, protocol }: FastifyRequest): boolean {
  return protocol === 'https' || headers['x-forwarded-proto'] === 'https';
}

/**
 * Refuses a form that a browser says is of another site, or of a sandboxed frame. A client that says nothing is no
 * browser.
 *
 * @throws {ApiError} `forbidden`.
 */
function checkOrigin({ headers }: FastifyRequest): void {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  const isSame = origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
  if (isSame && (site === undefined || site === 'same-origin')) return;
  throw new ApiError('forbidden', { detail: 'The form was sent from another page.' });
}

function filterOf(query: URLSearchParams): Filter {
  const name = (key: string): string => (query.get(key) ?? '').slice(0, MAX_NAME);
  return { window: query.get('window') === 'day' ? 'day' : 'live', site: name('site'), region: name('region') };
}

function readerOf({ token }: Caller, { csrf }: Session): Reader {
  const { name, kinds, read } = token;
  const purges = SCOPE_KINDS.filter((kind) => kinds.includes(kind));
  return { name, csrf, purges, drains: kinds.includes(DRAIN) && token.sites.includes('*'), reads: read };
}

const LISTS = ['files', 'tags', 'prefixes', 'hosts'];

/** @returns The body of the call that the form stands for: it is checked as any other. */
function purgeOf(form: URLSearchParams): Record<string, unknown> {
  const kind = form.get('kind') ?? '';
  const names = (form.get('names') ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const site = form.get('site') ?? '';
  if (!LISTS.includes(kind) && names.length > 0) {
    throw new ApiError('malformed_request', { detail: 'Everything of a site is purged without names.' });
  }
  return {
    ...(LISTS.includes(kind) ? { [kind]: names } : { purge_everything: true }),
    ...(site !== '' && { site }),
    soft: form.get('soft') === '1',
    dry_run: form.get('dry_run') === '1',
    reason: form.get('reason') ?? '',
  };
}

function purgeNotice(answer: PurgeAnswer): Markup {
  if (answer.kind === 'receipt') {
    const { id, status, nodes } = answer.receipt;
    const done = nodes.filter(({ applied, validates }) => applied || validates).length;
    const health: Health = status === 'applied' ? 'ok' : 'warn';
    const repeated = answer.repeated ? ' It was sent before, and is purged once.' : '';
    return notice(
      health,
      `Purge ${id} is in the journal: ${done} of ${nodes.length} nodes have applied it.${repeated}`,
    );
  }
  const known = answer.answer.nodes.filter(({ matches }) => matches !== null);
  const total = known.reduce((sum, { matches }) => sum + (matches ?? 0), 0);
  const silent = answer.answer.nodes.length - known.length;
  const rest = silent === 0 ? '' : ` ${silent} nodes did not answer.`;
  return notice('ok', `Dry run: ${total} stored responses at ${known.length} nodes. Nothing was purged.${rest}`);
}

/**
 * Sessions of the dashboard: a random id in a cookie, which stands for a token. In memory: a restart ends them all.
 *
 * The text of the token is not kept, and every use of a session looks the token up: one that is revoked opens nothing.
 * @module
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type MonotonicMs, msBetween } from '../../lib/clock.ts';

export interface Session {
  readonly id: string;
  /** Id of the token. */
  readonly token: string;
  /** Secret in its forms, which another site cannot know (CSRF). */
  readonly csrf: string;
  readonly startedAt: MonotonicMs;
  used: MonotonicMs;
}

/** Bounds of a session: in all, and without use. */
const LIFETIME_MS = 12 * 3_600_000;
const IDLE_MS = 3_600_000;
const MAX_SESSIONS = 500;
const MAX_OF_TOKEN = 10;

const COOKIE = 'seawall-session';

export class Sessions {
  readonly #now: () => MonotonicMs;
  /** By their ids, the oldest one first. */
  readonly #sessions = new Map<string, Session>();

  constructor(now: () => MonotonicMs) {
    this.#now = now;
  }

  /** Begins a session under a new id; beyond the bounds the oldest one ends. */
  begin(token: string): Session {
    const own = [...this.#sessions.values()].filter((session) => session.token === token);
    const oldest = own.length >= MAX_OF_TOKEN ? own[0] : undefined;
    if (oldest !== undefined) this.end(oldest.id);
    if (this.#sessions.size >= MAX_SESSIONS) this.end(this.#sessions.keys().next().value ?? '');
    const now = this.#now();
    const session = { id: secret(), token, csrf: secret(), startedAt: now, used: now };
    this.#sessions.set(session.id, session);
    return session;
  }

  /** @returns The session, if it has not ended; it has been used now, unless that is only looked at. */
  find(id: string | undefined, isUse = true): Session | undefined {
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (session === undefined) return undefined;
    const now = this.#now();
    if (msBetween(session.startedAt, now) >= LIFETIME_MS || msBetween(session.used, now) >= IDLE_MS) {
      this.end(session.id);
      return undefined;
    }
    if (isUse) session.used = now;
    return session;
  }

  end(id: string): void {
    this.#sessions.delete(id);
  }

  get size(): number {
    return this.#sessions.size;
  }
}

/** Returns whether a form comes from a page of the session. */
export function isOfSession({ csrf }: Session, sent: string | undefined): boolean {
  if (sent === undefined || sent.length !== csrf.length || !/^[\w-]+$/.test(sent)) return false;
  return timingSafeEqual(Buffer.from(sent), Buffer.from(csrf));
}

/** @returns The id of a session in the field Cookie. */
export function sessionIdIn(field: string | undefined): string | undefined {
  return new RegExp(`(?:^|;\\s*)${COOKIE}=([\\w-]{43})(?:;|$)`).exec(field ?? '')?.[1];
}

/** @param id - `undefined`: the browser is to forget it. @returns The field Set-Cookie. */
export function sessionCookie(id: string | undefined, isSecure: boolean): string {
  const end = id === undefined ? '; Max-Age=0' : '';
  return `${COOKIE}=${id ?? ''}; Path=/dashboard; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}${end}`;
}

/** 256 random bits. */
function secret(): string {
  return randomBytes(32).toString('base64url');
}

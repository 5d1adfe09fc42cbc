/**
 * WordPress behind a network with one set of rules, and who visits it.
 * @module
 */
import { Agent, get as getSecurely } from 'node:https';
import type { Test } from 'tap';
import { Browser, type BrowserOptions, type Page } from '../support/browser.ts';
import type { Network } from '../support/network.ts';
import { HOST, read } from '../support/visitor.ts';
import type { Rules } from './rules.ts';
import type { OriginRequest, WordPress } from './wordpress.ts';

/** One thing that people do with WordPress: what is stored of it, and what an anonymous visitor sees afterwards. */
export type Journey = (t: Test, stage: Stage) => Promise<void>;

export const EDGES = ['eu-1', 'eu-2'];

/** Cookies that scripts of analytics leave in everybody's browser. */
export const ANALYTICS = { _ga: 'GA1.2.1406215.1700000000', _fbp: 'fb.1.1700000000000.1234' };

export const ADMIN = { user: 'admin', password: 'admin-password', name: 'Ada Administrator' };
export const AUTHOR = { user: 'author', password: 'author-password', name: 'Arthur Author' };
export const COMMENTER = { author: 'Carla Commenter', email: 'carla@commenter.test' };

/** Text that no anonymous visitor may see, on any page. */
const SECRETS = [
  'id="wpadminbar"',
  ' logged-in ',
  'Howdy,',
  'Edit <span class="screen-reader-text">',
  COMMENTER.email,
  'dora@commenter.test',
  'erin@commenter.test',
  `value="${COMMENTER.author}"`,
  'behind-the-password',
  'only-a-draft',
  'admin@site.test',
  'author@site.test',
  '"administrator":true',
  '"raw":"',
];

/** One rule set in front of WordPress. */
export class Stage {
  readonly wordpress: WordPress;
  readonly network: Network;
  readonly rules: Rules;
  /** Part of the slug of each post made here. */
  readonly mark: string;
  /** Targets that somebody has asked for since an anonymous visitor last did. */
  readonly asked = new Set<string>();
  readonly #browsers: Browser[] = [];
  readonly #strangers = new Map<string, Browser>();
  readonly #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });

  constructor(wordpress: WordPress, network: Network, rules: Rules, mark: string) {
    this.wordpress = wordpress;
    this.network = network;
    this.rules = rules;
    this.mark = mark;
  }

  /** A browser without cookies, whose connection is kept. */
  #stranger(edge: string): Browser {
    const known = this.#strangers.get(edge) ?? this.browse({ edge, onGet: () => undefined });
    known.forget();
    this.#strangers.set(edge, known);
    return known;
  }

  browse(options: Partial<BrowserOptions> & { readonly edge?: string } = {}): Browser {
    const { edge = 'eu-1', ...rest } = options;
    const onGet = (target: string): void => void this.asked.add(target);
    const browser = new Browser({ port: this.port(edge), onGet, ...rest });
    this.#browsers.push(browser);
    return browser;
  }

  port(edge: string): number {
    return Number(this.network.edge(edge).addresses.listen_tls?.split(':').at(-1));
  }

  /** @returns A browser with the cookies of a user. */
  async logIn(t: Test, { user, password }: typeof ADMIN, edge = 'eu-1'): Promise<Browser> {
    const browser = this.browse({ edge });
    const form = await browser.get('/wp-login.php');
    t.equal(form.status, 200);
    t.match(browser.cookies, ['wordpress_test_cookie']);
    const answer = await browser.post('/wp-login.php', {
      log: user,
      pwd: password,
      testcookie: '1',
      redirect_to: `https://${HOST}/wp-admin/`,
    });
    t.equal(answer.status, 302);
    t.equal(answer.headers['location'], `https://${HOST}/wp-admin/`);
    t.ok(
      browser.cookies.some((name) => name.startsWith('wordpress_logged_in_')),
      'logged in',
    );
    return browser;
  }

  /** Nonce that WordPress' scripts send with each call of its REST interface. */
  async nonce(browser: Browser): Promise<string> {
    return (await browser.get('/wp-admin/admin-ajax.php?action=rest-nonce')).text;
  }

  /** An anonymous visitor who has never been here: at both edges, in both protocols. @returns One of the answers. */
  async stranger(t: Test, target: string): Promise<Page> {
    const pages: Page[] = [];
    this.asked.delete(target);
    for (const edge of EDGES) {
      pages.push(await this.#stranger(edge).get(target), await this.overHttp1(edge, target));
    }
    for (const page of pages) {
      t.strictSame(
        SECRETS.filter((secret) => page.text.includes(secret)),
        [],
        `nothing of anybody else at ${target}`,
      );
      if (isHit(page)) t.equal(page.headers['set-cookie'], undefined, 'no stored page sets a cookie');
    }
    const [first] = pages as [Page];
    t.strictSame(
      pages.map(({ status }) => status),
      pages.map(() => first.status),
    );
    return first;
  }

  /** Asks over HTTP/1.1. */
  overHttp1(edge: string, target: string, fields: Readonly<Record<string, string>> = {}): Promise<Page> {
    const { promise, resolve, reject } = Promise.withResolvers<Page>();
    const to = { host: '127.0.0.1', port: this.port(edge), servername: HOST, path: target };
    getSecurely({ ...to, headers: { Host: HOST, ...fields }, agent: this.#agent }, (response) => {
      read(Object.assign(response, { interim: [] })).then(resolve, reject);
    }).once('error', reject);
    return promise;
  }

  /** Requests for the target that reached WordPress. */
  async origin(target: string): Promise<readonly OriginRequest[]> {
    return (await this.wordpress.requests()).filter((request) => request.target === target);
  }

  /** @returns The path and the number of a new post. */
  async post(slug: string, fields: Readonly<Record<string, string>> = {}): Promise<{ path: string; id: string }> {
    const name = `${slug}-${this.mark}`;
    const post = {
      post_name: name,
      post_title: `Title of ${slug}`,
      post_content: `<p>Text of ${slug}.</p>`,
      post_status: 'publish',
      post_author: '1',
      comment_status: 'open',
      ...fields,
    };
    const id = await this.wordpress.php(
      `echo wp_insert_post(json_decode(base64_decode('${Buffer.from(JSON.stringify(post)).toString('base64')}'), true));`,
    );
    return { path: `/${name}/`, id };
  }

  /** @returns The number of the newest purge that all nodes have applied. */
  async applied(): Promise<number> {
    const nodes = [...this.network.edges, ...this.network.shields].map(({ name }) => name);
    const numbers = nodes.map((name) => this.network.metric(name, 'seawall_purges_applied'));
    return Math.min(...(await Promise.all(numbers)));
  }

  /** Resolves when all nodes have applied this many purges. */
  async hasApplied(count: number): Promise<void> {
    while ((await this.applied()) < count) await new Promise((resolve) => void setImmediate(resolve));
  }

  close(): Promise<void> {
    for (const browser of this.#browsers) browser.close();
    this.#agent.destroy();
    return this.network.close();
  }
}

export function isStored({ tiers }: Page): boolean {
  return tiers.some((member) => /;\s*stored/.test(member));
}

export function isHit({ tiers }: Page): boolean {
  return tiers.some((member) => /;\s*hit/.test(member));
}

export function isPersonal(t: Test, page: Page, message: string): void {
  t.notOk(isStored(page) || isHit(page), `${message}: ${page.headers['cache-status']}`);
}

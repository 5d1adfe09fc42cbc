/**
 * Contradictions in a site whose keys are each well-formed: rules that can never match or change nothing, conflicting
 * settings, redirects that leave the site or loop.
 * @module
 */
import { networkProblems } from './check-addresses.ts';
import type { Source } from './document.ts';
import { hostTable } from './host.ts';
import { coversPattern, overlapsPattern } from './pattern.ts';
import { type ConfigProblem, keyOf } from './problem.ts';
import { isBeyondPaths, rulePattern } from './rule-path.ts';
import { type RuleConfig, ruleSchema, type SiteConfig } from './schema.ts';
import { statusesOf } from './status-set.ts';
import { cgiName, claimOf, hasPlainName } from './untrusted-fields.ts';
import { joinList } from './words.ts';

/** A rule as the checks see it: no path and no status are every path and every status. */
interface Scope {
  readonly index: number;
  readonly patterns: readonly string[];
  readonly statuses: ReadonlySet<number>;
  readonly changesNothing: boolean;
}

/** The path of every request begins with `/`. */
const EVERY_PATH = '/*';

/**
 * These describe one connection or the length of one message: the sender of the message sets them (RFC 9110, 7.6.1).
 */
const FRAMING_FIELDS: readonly string[] = [
  'connection',
  'content-length',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** @returns Problems of `site` alone, whatever region it is served in. */
export function checkSite(site: SiteConfig, source: Source): ConfigProblem[] {
  return [
    ...repeatedHosts(site, source),
    ...site.rules.flatMap((rule, index) => contradictions(rule, source.within(['rules', index]))),
    ...idleRules(site.rules, source),
    ...site.rules.flatMap((rule, index) => keyingProblems(rule, source.within(['rules', index]))),
    ...redirectProblems(site, source),
    ...keyHostProblems(site, source),
    ...framingProblems(site, source),
    ...allowProblems(site, source),
    ...networkProblems(site.purge_method.from, source, ['purge_method', 'from']),
    ...networkProblems(site.geo.allow?.networks ?? [], source, ['geo', 'allow', 'networks']),
    ...networkProblems(site.geo.deny?.networks ?? [], source, ['geo', 'deny', 'networks']),
    ...geoRedirectProblems(site, source),
  ];
}

/** @returns The host of `redirect.host`, without its port. */
export function redirectHost(site: SiteConfig): string | undefined {
  return site.redirect.host?.replace(/:\d+$/, '');
}

/** A region's own host has to be one of the site's, or its requests match no site. */
function geoRedirectProblems(site: SiteConfig, source: Source): ConfigProblem[] {
  const table = hostTable(site.hosts.map((host) => [host, true] as const));
  return Object.entries(site.geo.redirect).flatMap(([region, host]) =>
    table(host) === undefined
      ? [source.problem(['geo', 'redirect', region], `${host} is not a host of this site`, 'Add it to `hosts`.')]
      : [],
  );
}

function repeatedHosts(site: SiteConfig, source: Source): ConfigProblem[] {
  return site.hosts.flatMap((host, index) =>
    site.hosts.indexOf(host) < index
      ? [source.problem(['hosts', index], `${host} is in the list already`, 'Remove it here.')]
      : [],
  );
}

/** Keys that have no effect beside `cache: never`. */
const NEEDS_STORING = {
  ttl: (rule) => rule.ttl !== undefined,
  stale_while_revalidate: (rule) => rule.stale_while_revalidate !== undefined,
  stale_if_error: (rule) => rule.stale_if_error !== undefined,
  set_cookie: (rule) => rule.set_cookie === 'store',
  cookies: (rule) => rule.cookies !== undefined,
  type_guard: (rule) => rule.type_guard !== undefined,
} satisfies Record<string, (rule: RuleConfig) => boolean>;

function contradictions(rule: RuleConfig, source: Source): ConfigProblem[] {
  if (rule.cache !== 'never') return [];
  return Object.entries(NEEDS_STORING).flatMap(([key, isGiven]) =>
    isGiven(rule)
      ? [
          source.keyProblem(
            [key],
            `contradicts \`cache: never\`: what is not stored has no use for ${key}`,
            `Remove \`${key}\`, or remove \`cache: never\`.`,
          ),
        ]
      : [],
  );
}

/** The key is made before the status is known. */
function keyingProblems(rule: RuleConfig, source: Source): ConfigProblem[] {
  if (rule.cookies !== 'key' || statusesOf(rule).has(200)) return [];
  return [
    source.keyProblem(
      ['cookies'],
      'the key of a request is made before the status is known, so this rule cannot say what is in it',
      'Put `cookies: key` into the rule for status 200 of the same path.',
    ),
  ];
}

/** Rules, and paths of rules, that might as well not be there. */
function idleRules(rules: readonly RuleConfig[], source: Source): ConfigProblem[] {
  const scopes = rules.map(scopeOf);
  return scopes.flatMap((scope) => [
    ...unreachableProblems(scope, scopes, rules, source),
    ...(isWithoutEffect(scope, scopes)
      ? [
          source.problem(
            ['rules', scope.index],
            'this rule changes nothing: it sets nothing, and there is no rule after it that it makes an exception from',
            'Give it an effect such as `ttl: 1h` or `cache: never`, or remove it.',
          ),
        ]
      : []),
  ]);
}

function unreachableProblems(
  scope: Scope,
  scopes: readonly Scope[],
  rules: readonly RuleConfig[],
  source: Source,
): ConfigProblem[] {
  const dead = scope.patterns.flatMap((pattern, position) => {
    const why = reasonOf(pattern) ?? shadowOf(pattern, scope, scopes);
    return why === undefined ? [] : [{ position, why }];
  });
  const [first] = dead;
  if (!first) return [];
  const isWhole = dead.length === scope.patterns.length;
  const isList = Array.isArray(rules[scope.index]?.path);
  return (isWhole ? [first] : dead).map(({ position, why }) => {
    const place = ['rules', scope.index, ...(isWhole ? [] : ['path', ...(isList ? [position] : [])])];
    const subject = isWhole ? 'this rule can never match' : 'this path can never match here';
    return source.problem(place, `${subject}: ${why.message}`, why.fix);
  });
}

/** @returns Why a pattern, in the form in which it is matched, takes no path at all. */
function reasonOf(pattern: string): { message: string; fix: string } | undefined {
  if (/[?#]/.test(pattern)) return NO_QUERY;
  return isBeyondPaths(pattern) ? NO_SUCH_PATH : undefined;
}

const NO_SUCH_PATH = {
  message:
    'all spellings of a path are matched in one form, without parameters after `;`, repeated slashes, `\\`, dot segments and control characters',
  fix: 'Write the path as the origin understands it, such as `/account/*` for `//account/*` or `/account;x/*`.',
};

const NO_QUERY = {
  message: 'a path is matched without the query, so it holds no `?` and no `#`',
  fix: 'Write the path alone; `key.query` says which query parameters count.',
};

/**
 * The rules before `scope` that take everything it could take at `pattern`.
 *
 * Exact: a pattern that several patterns cover together is covered by one of
 * them (`coversPattern`), so only the statuses have to be added up.
 */
function shadowOf(
  pattern: string,
  scope: Scope,
  scopes: readonly Scope[],
): { message: string; fix: string } | undefined {
  let open = scope.statuses;
  const takers: number[] = [];
  for (const earlier of scopes.slice(0, scope.index)) {
    if (open.isDisjointFrom(earlier.statuses)) continue;
    if (!earlier.patterns.some((general) => coversPattern(general, pattern))) continue;
    takers.push(earlier.index);
    open = open.difference(earlier.statuses);
    if (open.size > 0) continue;
    const names = joinList(
      takers.map((index) => keyOf(['rules', index])),
      'and',
    );
    const verb = takers.length === 1 ? 'takes' : 'take';
    return {
      message: `${names} ${verb} all of it before`,
      fix: `Move it above ${keyOf(['rules', takers[0] ?? 0])}, or remove it.`,
    };
  }
  return undefined;
}

function isWithoutEffect(scope: Scope, scopes: readonly Scope[]): boolean {
  if (!scope.changesNothing) return false;
  return !scopes
    .slice(scope.index + 1)
    .some(
      (later) =>
        !later.changesNothing &&
        !later.statuses.isDisjointFrom(scope.statuses) &&
        later.patterns.some((a) => scope.patterns.some((b) => overlapsPattern(a, b))),
    );
}

function scopeOf(rule: RuleConfig, index: number): Scope {
  const { path, status: _, ...effect } = rule;
  return {
    index,
    patterns: path === undefined ? [EVERY_PATH] : [path].flat().map(rulePattern),
    statuses: statusesOf(rule),
    changesNothing: Object.entries(effect).every(([key, value]) => value === NO_EFFECT[key]),
  };
}

const NO_EFFECT: Readonly<Record<string, unknown>> = ruleSchema.parse({});

/** Other nodes find the site by the host that the edge sends on. */
function keyHostProblems(site: SiteConfig, source: Source): ConfigProblem[] {
  const host = site.key.host?.replace(/:\d+$/, '');
  const isOwn = hostTable(site.hosts.map((name) => [name, true] as const));
  if (host === undefined || isOwn(host)) return [];
  const message = `${host} is not a host of this site, so other nodes would not know whose request it is`;
  return [source.problem(['key', 'host'], message, `Add ${host} to \`hosts\`, or name a host that is there.`)];
}

function redirectProblems(site: SiteConfig, source: Source): ConfigProblem[] {
  const host = redirectHost(site);
  if (host === undefined) return [];
  const isOwn = hostTable(site.hosts.map((name) => [name, true] as const));
  if (!isOwn(host)) {
    return [
      source.problem(
        ['redirect', 'host'],
        `${host} is not a host of this site, so visitors would be sent away`,
        `Add ${host} to \`hosts\`, or name a host that is there.`,
      ),
    ];
  }
  if (site.redirect.https && site.redirect.host?.endsWith(':80')) {
    return [
      source.problem(
        ['redirect', 'host'],
        'port 80 does not speak https, so the redirect would never arrive',
        'Remove the port, or remove `redirect.https`.',
      ),
    ];
  }
  return [];
}

/** Visitors may be let through with what changes the method, not with what says who they are or what they ask for. */
function allowProblems({ request_headers: { allow, set, remove } }: SiteConfig, source: Source): ConfigProblem[] {
  const changed = new Set([...remove, ...Object.keys(set)].map(cgiName));
  return allow.flatMap((name, index) => {
    const why = refusalToAllow(name) ?? (changed.has(cgiName(name)) ? CHANGED_BESIDES : undefined);
    return why === undefined
      ? []
      : [source.keyProblem(['request_headers', 'allow', index], `${name} ${why.message}`, why.fix)];
  });
}

function refusalToAllow(name: string): { message: string; fix: string } | undefined {
  const claim = claimOf(name);
  const folded = cgiName(name);
  if (FRAMING_FIELDS.includes(folded) || FRAMING.has(folded)) {
    return { message: 'frames the message or belongs to the connection, so no visitor may set it', fix: 'Remove it.' };
  }
  if (claim === undefined) {
    if (hasPlainName(name)) return { message: 'is passed on in any case', fix: 'Remove it here.' };
    return ORDINARY.has(folded) ? { message: `is ${folded} to many servers`, fix: 'Remove it.' } : undefined;
  }
  if (claim === 'method' || claim === 'cache') return undefined;
  return {
    message: `${CLAIM_WORDS[claim]}, so no visitor may set it`,
    fix: 'Remove it; what a proxy in front of Seawall says of visitors is believed by `trusted_proxies` and `client_address`.',
  };
}

const CHANGED_BESIDES = {
  message: 'is also in `set` or `remove`, so what a visitor sends never arrives',
  fix: 'Keep one of the two.',
};

const CLAIM_WORDS = {
  visitor: 'says who the visitor is',
  resource: 'says which scheme, host or path is meant',
  server: 'is what a server in front of the application says to it',
} as const;

/** Fields that frame a message or route it. */
const FRAMING: ReadonlySet<string> = new Set([
  ...['host', 'expect', 'max-forwards', 'via', 'cdn-loop', 'http2-settings', 'proxy-connection', 'proxy-authorization'],
]);

/** Fields with a hyphen that caches and origins read: a twin with an underscore would be one to the origin alone. */
const ORDINARY: ReadonlySet<string> = new Set([
  ...['accept-encoding', 'accept-language', 'accept-charset', 'cache-control', 'content-type', 'content-encoding'],
  ...['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'user-agent'],
  ...['x-requested-with', 'x-csrf-token'],
]);

function framingProblems(site: SiteConfig, source: Source): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const part of ['request_headers', 'response_headers'] as const) {
    const names: readonly (readonly [path: readonly (string | number)[], name: string])[] = [
      ...Object.keys(site[part].set).map((name) => [[part, 'set', name], name] as const),
      ...site[part].remove.map((name, index) => [[part, 'remove', index], name] as const),
    ];
    for (const [path, name] of names) {
      const lower = name.toLowerCase();
      if (part === 'request_headers' && lower === 'host') {
        problems.push(source.keyProblem(path, 'Host is not changed here', 'Use `origin.host_header`.'));
      } else if (FRAMING_FIELDS.includes(lower)) {
        problems.push(source.keyProblem(path, `${name} belongs to the connection, and Seawall sets it`, 'Remove it.'));
      }
    }
  }
  return problems;
}

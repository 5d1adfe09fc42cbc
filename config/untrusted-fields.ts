/**
 * Request fields that applications believe and that no visitor may set, each
 * with its reason.
 * @module
 */

/** Kind of claim that applications believe and that a visitor must not be able to make. */
export type Claim =
  /** Identity of the visitor: an address, a location, a user, a certificate. */
  | 'visitor'
  /** Another scheme, host or path than the request names. */
  | 'resource'
  /** Another method than that of the request line. */
  | 'method'
  /** Instructions that only a server in front of the application gives. */
  | 'server'
  /** Capabilities of the cache in front of the application. */
  | 'cache';

/**
 * Fields that applications believe, in the spelling of {@link cgiName};
 * a trailing `*` stands for any ending. docs/requests.md has the same table.
 *
 * Sources: James Kettle, "Practical Web Cache Poisoning" (2018), and the header
 * list of his tool Param Miner; Nguyen, Lo Iacono and Federrath, "Your Cache Has
 * Fallen" (CCS 2019), for the method overrides; the documentation of the
 * products that are named.
 */
export const UNTRUSTED_FIELDS: readonly (readonly [claim: Claim, why: string, names: string])[] = [
  [
    'visitor',
    'RFC 7239 and its forerunners',
    'forwarded* x-forward* x-original-forwarded-for x-originally-forwarded-*',
  ],
  [
    'visitor',
    'addresses: proxies, load balancers and frameworks (Django, Rack, Spring, WordPress plugins)',
    'x-real-ip real-ip realip client-ip clientip client-address clientaddress x-client-ip x-clientip x-client-address ' +
      'x-client-host x-cluster-client-ip x-cluster-ip x-originating-ip x-remote-* remote-* pc-remote-addr ' +
      'proxy-client-ip wl-proxy-* true-client-ip x-true-client-ip x-real-client-ip x-source-ip x-user-ip x-ip ' +
      'x-proxyuser-ip x-proxied-user-ip x-proxied-for x-orig-client x-coming-from coming-from http-client-ip ' +
      'http-x-forwarded-for http-forwarded rlnclientipaddr xxx-real-ip x-wap-network-* x-msisdn msisdn ' +
      'x-up-calling-line-id',
  ],
  [
    'visitor',
    'addresses and places: other networks (Cloudflare, CloudFront, Fastly, Akamai, Azure, Fly, Vercel, Netlify, App ' +
      'Engine, Alibaba, Imperva, Envoy)',
    'cf-* cloudfront-* fastly-* akamai-* x-akamai-* x-azure-* fly-client-ip fly-forwarded-* x-vercel-* x-nf-* ' +
      'x-appengine-* ali-cdn-* cdn-src-ip cdn-real-ip cdn-client-ip x-cdn-src-ip incap-* x-envoy-*',
  ],
  [
    'visitor',
    'places: WooCommerce and GeoIP modules',
    'x-country-code x-geo-country x-geo-ip x-geoip-* geoip-* mm-country-code',
  ],
  [
    'visitor',
    'users, from a proxy that signs them in (oauth2-proxy, Authelia, authentik, Grafana, Kong, SiteMinder, WebSEAL, ' +
      'Shibboleth, mod_auth_openidc, IAP, ALB, App Service, Tailscale, Pomerium, APISIX, WSO2, Envoy, OpenSearch, ' +
      'Vouch)',
    'x-auth-request-* x-authenticated-* x-authentik-* x-webauth-* x-consumer-* x-credential-identifier x-credential-username x-anonymous-consumer ' +
      'sm-* http-sm-* iv-user iv-groups iv-creds shib-* ajp-* mellon-* oidc-* x-goog-authenticated-user-* x-goog-iap-* ' +
      'x-amzn-oidc-* x-ms-client-principal* x-apigateway-api-userinfo x-endpoint-api-userinfo tailscale-* ' +
      'x-pomerium-* auth-user auth-type x-userinfo x-jwt-assertion x-jwt-payload x-proxy-user x-proxy-role ' +
      'x-proxy-roles x-vouch-*',
  ],
  [
    'visitor',
    'certificates: RFC 9440, nginx, HAProxy, Apache, IIS, Traefik, ALB',
    'client-cert client-cert-chain x-client-cert* x-client-verify* x-client-dn x-client-subject* ssl-* x-ssl-* ' +
      'x-arr-clientcert x-amzn-mtls-* x-tls-client-* cert-*',
  ],
  [
    'resource',
    'the scheme',
    'scheme x-scheme x-url-scheme x-proto x-protocol x-client-proto x-orchestra-scheme front-end-https https x-https ' +
      'x-ssl x-arr-ssl ssl',
  ],
  [
    'resource',
    'the host',
    'x-host x-http-host x-http-host-override x-backend-* x-server-name x-server-port x-server-addr server-name server-port http-host proxy-host ' +
      'x-proxy-host x-amzn-remapped-host',
  ],
  [
    'resource',
    'the path; X-Original-URL and X-Rewrite-URL also: CVE-2018-14773',
    'x-original-* x-rewrite-* x-override-url x-http-destinationurl x-proxy-url proxy-url x-http-path-override ' +
      'request-uri requesturi x-request-uri base-url x-base-url x-base-path x-script-name script-name path-info ' +
      'orig-path-info unencoded-url x-matched-path x-invoke-* x-now-route-matches request-method',
  ],
  ['method', 'method overrides', 'x-http-method-override x-http-method x-method-override'],
  ['server', 'becomes HTTP_PROXY in CGI programs: httpoxy, CVE-2016-5385 and its kin', 'proxy'],
  [
    'server',
    'which file to send instead of an answer: nginx, Apache, lighttpd, and Rack::Sendfile (CVE-2025-61780)',
    'x-accel-* x-sendfile* x-lighttpd-send-file',
  ],
  ['server', 'skips the authorisation of Next.js: CVE-2025-29927', 'x-middleware-*'],
  ['server', 'what nodes of this network tell each other', 'seawall-*'],
  ['cache', 'Edge Architecture Specification 1.0: spoken by surrogates to origins', 'surrogate-capability'],
  ['cache', 'RFC 9211 defines it for responses', 'cache-status'],
];

/** @returns What the field claims, or `undefined` where visitors may set it. */
export function claimOf(name: string): Claim | undefined {
  const folded = cgiName(name);
  return EXACT_CLAIMS.get(folded) ?? PREFIX_CLAIMS.find(([prefix]) => folded.startsWith(prefix))?.[1];
}

const CLAIMS = UNTRUSTED_FIELDS.flatMap(([claim, , names]) => names.split(' ').map((name) => [name, claim] as const));
const EXACT_CLAIMS: ReadonlyMap<string, Claim> = new Map(CLAIMS.filter(([name]) => !name.endsWith('*')));
const PREFIX_CLAIMS = CLAIMS.filter(([name]) => name.endsWith('*')).map(
  ([name, claim]) => [name.slice(0, -1), claim] as const,
);

/**
 * Returns whether every server reads the name alike: letters, digits and hyphens only. CGI, WSGI and PHP read
 * `Content_Length`, `Accept.Language` and `X_Theme` as the fields with hyphens, past our checks of framing, key and
 * `Vary`; nginx drops such names by default as well.
 */
export function hasPlainName(name: string): boolean {
  return /^[A-Za-z0-9-]+$/.test(name);
}

/**
 * The name as CGI and its heirs know it: they read `X_Forwarded_For` and
 * `X-Forwarded-For` as one variable (RFC 3875, section 4.1.18), so neither may
 * pass where the other may not: CVE-2015-0219.
 */
export function cgiName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

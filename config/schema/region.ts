/**
 * The schema of a region file.
 * @module
 */
import { z } from 'zod';
import { dnsSchema } from '../dns/schema.ts';
import { fileName, nodeName, SECRET } from '../scalars.ts';
import { duration, positiveSize, size } from '../units.ts';
import { accessLogSchema } from './access-log.ts';
import { controlSchema } from './control.ts';
import { clientAddressSchema, geoSchema } from './geo.ts';
import { limitsSchema } from './limits.ts';
import { edgeSchema, type ShieldConfig, shieldSchema } from './node.ts';
import { type SiteConfig, siteSchema } from './site.ts';
import { tierTlsSchema } from './tier-tls.ts';

/** Entry of `sites` that refers to a file of its own. */
export const includeSchema = z.strictObject({
  include: fileName.meta({
    title: 'a file that holds one site',
    examples: ['../sites/shop.yaml'],
    description: 'File with one site, relative to this file.',
  }),
});

/** Names of fields that mean something else do not end like that. */
const requestIdField = z.union([z.literal('off'), z.string().regex(/^(?=.{2,64}$)[A-Za-z][A-Za-z0-9-]*-[Ii][Dd]$/)]);

const journalUrl = z
  .string()
  .regex(/^https?:\/\/(?:\[[0-9a-fA-F:]+\]|[0-9A-Za-z.-]+):\d{1,5}$/, 'expected http://HOST:PORT')
  .meta({ title: 'http://HOST:PORT or https://HOST:PORT', examples: ['http://10.0.0.3:8900'] });

export const regionSchema = z.strictObject({
  region: nodeName.meta({ examples: ['fra'], description: 'Name of the region.' }),
  network: nodeName
    .default('seawall')
    .meta({ description: 'Name of the network: its identifier in CDN-Loop (RFC 8586).' }),
  coordinates: z
    .tuple([z.number().min(-90).max(90), z.number().min(-180).max(180)])
    .optional()
    .meta({
      title: 'a latitude and a longitude',
      examples: [[50.11, 8.68]],
      description: 'Latitude and longitude in degrees.',
    }),
  geo: geoSchema
    .prefault({})
    .meta({ description: 'Locations of visitors, and the visitors that are sent to this region.' }),
  tier_secret: z
    .string()
    .regex(SECRET)
    .meta({
      title: '16 to 256 printable characters without spaces, or an environment variable',
      examples: [`\${SEAWALL_TIER_SECRET}`],
      // A secret: never shown in a message.
      writeOnly: true,
      description: `Shared secret that authenticates the nodes of the network to each other; with \`tier_tls\` it is not sent to other nodes. \`\${NAME}\` reads an environment variable.`,
    }),
  tier_tls: tierTlsSchema.optional().meta({
    description:
      'Certificates by which the nodes of the network know each other, on connections that are encrypted ([trust](trust.md)). Absent: they know each other by `tier_secret`, over plain connections.',
  }),
  memory: positiveSize.prefault('256MiB').meta({
    description:
      'Memory of each node: its process takes that, a quarter of it, and 64 MiB at most; what is stored has what the program and its threads leave ([sizing](sizing.md)).',
  }),
  edges: z.array(edgeSchema).max(256).default([]).meta({ description: 'The edges of this region.' }),
  shields: z.array(shieldSchema).max(64).default([]).meta({ description: 'The shields that run in this region.' }),
  shields_from: z
    .array(fileName.meta({ title: 'a region file', examples: ['frankfurt.yaml'] }))
    .max(64)
    .default([])
    .meta({ description: 'Region files whose shields this region’s edges use, relative to this file.' }),
  control: controlSchema.optional().meta({ description: 'The control node, if one runs in this region.' }),
  dns: dnsSchema.optional().meta({ description: 'The DNS server, if one runs in this region.' }),
  purges: z
    .strictObject({
      journal: z
        .union([journalUrl, z.array(journalUrl).min(1).max(16)])
        .transform((urls) => [urls].flat())
        .default([])
        .meta({
          title: 'http://HOST:PORT or https://HOST:PORT, or a list of them',
          description:
            'Addresses of the control nodes, in the order in which this region’s nodes try them; by default this region’s own, if it has one. With `tier_tls`: `https://` and the `tier` address of each.',
          examples: ['http://10.0.0.3:8900', ['http://10.0.0.3:8900', 'http://10.1.0.3:8900']],
        }),
      lease: duration.prefault('1m').meta({
        description:
          'Lease: time that a node without contact to the journal may still serve stored responses, purged ones included; then it revalidates every response before use.',
      }),
      without_journal: z.enum(['validate', 'strict']).default('validate').meta({
        description:
          'Beyond the lease: `validate` revalidates each response once a lease, and lets one stand in (`detail=unverified`) where `stale-if-error` allows it and the origin fails; `strict` revalidates before each use and serves nothing that a purge may have named.',
      }),
    })
    .prefault({})
    .meta({ description: 'Connection of this region’s nodes to the journal of purges.' }),
  request_id: requestIdField.default('X-Request-Id').meta({
    title: 'a header name that ends in `-Id`, or `off`',
    examples: ['X-Request-Id', 'off'],
    description:
      'Header with the id of a request: in the request that the origin gets, and in each answer to a visitor, in the place of any that was there ([debugging](debugging.md)). What a visitor sends under this name is removed; an id from `trusted_proxies` is kept. `off`: no header; logs have the id all the same.',
  }),
  access_log: accessLogSchema.optional().meta({
    title: 'a file, `-`, the address of a syslog server, or a mapping',
    examples: ['/var/log/seawall/access.jsonl', '-', { to: 'access.log', format: 'combined' }],
    description:
      'Access log ([logs](logs.md)): a line for each answer to a visitor. A text is `to`. The visitor’s address follows `client_address` and `trusted_proxies`. A reload reopens the file. Absent: no access log.',
  }),
  trusted_proxies: z
    .array(
      z
        .string()
        .min(1)
        .meta({ title: 'an address or a CIDR block', examples: ['10.0.0.5', '192.0.2.0/28'] }),
    )
    .max(1_000)
    .default([])
    .meta({
      description:
        'Addresses or CIDR blocks of proxies in front of the edges that are trusted to report the visitor’s address and scheme.',
    }),
  control_hosts: z
    .array(z.string().min(1).max(255))
    .max(100)
    .default([])
    .meta({
      title: 'host names',
      examples: [['control.internal']],
      description:
        'Host names that control listeners accept without a token (`/metrics`, `/healthz`, `/v1/nodes`), besides IP addresses, `localhost` and the names in their own `control` and `listen` keys. Others get 421, against DNS rebinding by web pages.',
    }),
  client_address: clientAddressSchema,
  spool: z
    .strictObject({
      folder: fileName.default('/var/tmp').meta({
        title: 'a folder',
        examples: ['/var/tmp', '/var/spool/seawall'],
        description:
          'Folder of the spool file, relative to this file; it must exist, and should be on a disk. The file has no name and disappears with the process, so edges can share a folder.',
      }),
      memory: positiveSize
        .prefault('32MiB')
        .meta({ description: 'Memory for spooled bodies at one edge, at most 64 KiB for each.' }),
      file: size.prefault('1GiB').meta({ description: 'Size of the spool file for longer bodies, at one edge.' }),
    })
    .prefault({})
    .meta({
      description:
        'Space at each edge for request bodies until they are complete (`request_buffering`); one visitor gets at most a quarter, and less while others use some. Beyond it 503.',
    }),
  limits: limitsSchema.prefault({}).meta({ description: 'Limits of every node in the region.' }),
  sites: z
    .array(z.union([includeSchema, siteSchema]))
    .min(1)
    .max(10_000)
    .meta({ description: 'The sites served here: written out, or included from a file of their own.' }),
});

/** A region file with its includes resolved, as `config/load.ts` returns it. */
export interface RegionConfig extends Omit<z.output<typeof regionSchema>, 'sites'> {
  readonly file: string;
  /** Fingerprint of the config, for a region that was read from its file (config/fingerprint.ts). */
  readonly fingerprint?: string;
  readonly sites: readonly SiteConfig[];
  /** Every shield this region's edges may use: its own and those of `shields_from`. */
  readonly reachableShields: readonly ShieldConfig[];
}

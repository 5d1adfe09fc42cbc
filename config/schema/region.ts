/**
 * The schema of a region file.
 * @module
 */
import { z } from 'zod';
import { dnsSchema } from '../dns/schema.ts';
import { address, fileName, nodeName, SECRET } from '../scalars.ts';
import { duration, positiveSize, size } from '../units.ts';
import { clientAddressSchema, geoSchema } from './geo.ts';
import { limitsSchema } from './limits.ts';
import { edgeSchema, listenerDescription, type ShieldConfig, shieldSchema } from './node.ts';
import { type SiteConfig, siteSchema } from './site.ts';

/** Entry of `sites` that refers to a file of its own. */
export const includeSchema = z.strictObject({
  include: fileName.meta({
    title: 'a file that holds one site',
    examples: ['../sites/shop.yaml'],
    description: 'File that holds one site, relative to this file.',
  }),
});

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
  geo: geoSchema.prefault({}).meta({ description: 'Where visitors are, and which of them come here.' }),
  tier_secret: z
    .string()
    .regex(SECRET)
    .meta({
      title: '16 to 256 printable characters without spaces, or an environment variable',
      examples: [`\${SEAWALL_TIER_SECRET}`],
      // A secret: never shown in a message.
      writeOnly: true,
      description: `What nodes prove to each other that they belong to the network; \`\${NAME}\` reads an environment variable.`,
    }),
  memory: positiveSize
    .prefault('256MiB')
    .meta({ description: 'Memory of each node for stored responses: bodies, headers and what an entry costs.' }),
  edges: z.array(edgeSchema).max(256).default([]).meta({ description: 'The edges of this region.' }),
  shields: z.array(shieldSchema).max(64).default([]).meta({ description: 'The shields that run in this region.' }),
  shields_from: z
    .array(fileName.meta({ title: 'a region file', examples: ['frankfurt.yaml'] }))
    .max(64)
    .default([])
    .meta({ description: 'Region files whose shields this region’s edges use, relative to this file.' }),
  control: z
    .strictObject({
      name: nodeName.default('control').meta({ description: 'Name of the control node, unique in the network.' }),
      listen: address.meta(listenerDescription),
      data: fileName.default('seawall-data').meta({
        title: 'a folder',
        examples: ['/var/lib/seawall'],
        description: 'Folder of the journal of purges, the tokens and the audit log, relative to this file.',
      }),
      retention: duration
        .prefault('30d')
        .meta({ description: 'How long a purge stays in the journal; what was stored before that is fetched anew.' }),
      max_records: z
        .number()
        .int()
        .min(1_000)
        .max(100_000_000)
        .default(1_000_000)
        .meta({ description: 'Purges that stay in the journal, and in the memory of nodes; beyond, the oldest go.' }),
      rate_limits: z
        .strictObject({
          calls: z
            .number()
            .int()
            .min(1)
            .max(1_000_000)
            .default(2_000)
            .meta({ description: 'Calls a second with one token; five seconds’ worth may come at once.' }),
          selectors: z
            .number()
            .int()
            .min(1)
            .max(1_000_000)
            .default(20_000)
            .meta({ description: 'URLs, tags, prefixes and hosts that one token may purge a second; likewise.' }),
        })
        .prefault({})
        .meta({ description: 'How fast one token may purge; more is refused with 429.' }),
      audit_log: z
        .strictObject({
          max_size: positiveSize
            .prefault('64MiB')
            .meta({ description: 'Size at which the file is set aside and a new one begun.' }),
          files: z
            .number()
            .int()
            .min(1)
            .max(1_000)
            .default(5)
            .meta({ description: 'Files that are kept, the one that is written to included.' }),
        })
        .prefault({})
        .meta({ description: 'The record of who purged what: audit.jsonl in the data folder.' }),
    })
    .optional()
    .meta({ description: 'The control node, if it runs in this region.' }),
  dns: dnsSchema.optional().meta({ description: 'The DNS server, if one runs in this region.' }),
  purges: z
    .strictObject({
      journal: z
        .string()
        .regex(/^http:\/\/(?:\[[0-9a-fA-F:]+\]|[0-9A-Za-z.-]+):\d{1,5}$/, 'expected http://HOST:PORT')
        .optional()
        .meta({
          title: 'http://HOST:PORT',
          description:
            'Where the control node is that keeps the journal of purges; by default this region’s own, if it has one.',
          examples: ['http://10.0.0.3:8900'],
        }),
      lease: duration.prefault('1m').meta({
        description:
          'How long a node that hears nothing of the journal goes on as before, and may serve what was purged meanwhile; then it revalidates everything before use.',
      }),
    })
    .prefault({})
    .meta({ description: 'How the nodes of this region hear of purges.' }),
  access_log: fileName.optional().meta({
    title: 'a file, or `-`',
    examples: ['/var/log/seawall/access.jsonl', '-'],
    description:
      'File to which each edge appends a line of JSON for each answer to a visitor, relative to this file; `-`: standard output. Who asked is what `client_address` and `trusted_proxies` let proxies say. It is opened anew at a reload. Absent: no access log.',
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
        'Addresses or CIDR blocks of proxies in front of the edges that are believed about the address of a visitor, and about the scheme that it used.',
    }),
  control_hosts: z
    .array(z.string().min(1).max(255))
    .max(100)
    .default([])
    .meta({
      title: 'host names',
      examples: [['control.internal']],
      description:
        'Names under which control listeners answer without a token (`/metrics`, `/healthz`, `/v1/nodes`), beside addresses, `localhost` and the names in their own `control` and `listen` keys. Others get 421: a web page could point its own name here.',
    }),
  client_address: clientAddressSchema,
  spool: z
    .strictObject({
      folder: fileName.default('/var/tmp').meta({
        title: 'a folder',
        examples: ['/var/tmp', '/var/spool/seawall'],
        description:
          'Folder of the file, relative to this one; better on a disk than in memory. It has to exist. The file has no name and is gone with the process, so that edges can share a folder, also with other data.',
      }),
      memory: positiveSize
        .prefault('32MiB')
        .meta({ description: 'Memory for all of them at one edge, at most 64 KiB for each.' }),
      file: size.prefault('1GiB').meta({ description: 'Size of the file for what is longer, at one edge.' }),
    })
    .prefault({})
    .meta({
      description:
        'Room at each edge for request bodies until they are whole (`request_buffering`); one visitor gets a quarter of it, and less while others have some. Beyond, 503.',
    }),
  limits: limitsSchema.prefault({}).meta({ description: 'Bounds of every node in the region.' }),
  sites: z
    .array(z.union([includeSchema, siteSchema]))
    .min(1)
    .max(10_000)
    .meta({ description: 'The sites served here: written out, or included from a file of their own.' }),
});

/** A region file with its includes resolved, as `config/load.ts` returns it. */
export interface RegionConfig extends Omit<z.output<typeof regionSchema>, 'sites'> {
  readonly file: string;
  readonly sites: readonly SiteConfig[];
  /** Every shield this region's edges may use: its own and those of `shields_from`. */
  readonly reachableShields: readonly ShieldConfig[];
}

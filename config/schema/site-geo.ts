/**
 * Settings for using the location of a site's visitors.
 * @module
 */
import { z } from 'zod';
import { continentCode, countryCode, FIELD_NAME, LABEL } from '../scalars.ts';
import { GEO_HEADERS } from '../visitor-facts.ts';

const header = z.union([
  z.literal(true),
  z
    .string()
    .regex(FIELD_NAME)
    .meta({ title: 'a header name', examples: ['CDN-Visitor-Country'] }),
]);

/** A name for each, so that the reference lists them. */
function headerSchema(what: string, name: string) {
  return header.optional().meta({
    title: '`true` or a header name',
    description: `${what}: \`true\` for \`${name}\`, or the name that the origin knows it by.`,
  });
}

const placesShape = {
  countries: z
    .array(countryCode)
    .max(300)
    .default([])
    .meta({ description: 'Countries.', examples: [['DE', 'AT']] }),
  continents: z.array(continentCode).max(7).default([]).meta({ description: 'Continents.' }),
  asns: z
    .array(z.number().int().min(1).max(4_294_967_295))
    .max(10_000)
    .default([])
    .meta({ description: 'Numbers of autonomous systems; they need a database that knows them.' }),
  networks: z
    .array(
      z
        .string()
        .min(1)
        .max(64)
        .meta({ title: 'an address or a CIDR block', examples: ['192.0.2.0/24'] }),
    )
    .max(10_000)
    .default([])
    .meta({ description: 'Addresses and networks.' }),
};

export const siteGeoSchema = z.strictObject({
  headers: z
    .strictObject({
      country: headerSchema('Country (ISO 3166-1)', GEO_HEADERS.country),
      continent: headerSchema('Continent (two letters)', GEO_HEADERS.continent),
      subdivision: headerSchema('State or province', GEO_HEADERS.subdivision),
      city: headerSchema('City, in English, percent-encoded UTF-8', GEO_HEADERS.city),
      coordinates: headerSchema('Latitude and longitude, `50.11,8.68`', GEO_HEADERS.coordinates),
      asn: headerSchema('Number of the autonomous system', GEO_HEADERS.asn),
      organization: headerSchema('Whose autonomous system it is, percent-encoded UTF-8', GEO_HEADERS.organization),
    })
    .prefault({})
    .meta({
      description:
        'Request headers with the visitor’s location for the origin. Headers of these names from visitors are always removed. A response that depends on one needs `Vary` with its name, or the key.',
    }),
  allow: z.strictObject(placesShape).optional().meta({
    description: 'Admit only visitors from here; visitors with an unknown location only by network.',
  }),
  deny: z.strictObject(placesShape).optional().meta({
    description:
      'Refuse visitors from here. If a visitor matches both lists, the narrower entry is used: network, then ASN, country, continent; between equals, `deny`.',
  }),
  refusal: z
    .strictObject({
      status: z
        .union([z.literal(403), z.literal(451)])
        .default(403)
        .meta({ description: 'Status of the refusal; 451 is for legal reasons (RFC 7725).' }),
      body: z.string().max(65_536).optional().meta({ description: 'Body of the refusal; by default an error page.' }),
      content_type: z
        .string()
        .max(256)
        .regex(/^[\x20-\x7e]+$/)
        .default('text/html; charset=utf-8')
        .meta({ description: 'Content-Type of `body`.' }),
      blocked_by: z
        .string()
        .max(2_048)
        .regex(/^https?:\/\/[\x21\x23-\x3b\x3d\x3f-\x7e]+$/)
        .optional()
        .meta({
          title: 'a URL',
          examples: ['https://example.com/legal'],
          description: 'Who blocks: sent as `Link: <…>; rel="blocked-by"` (RFC 7725).',
        }),
    })
    .prefault({})
    .meta({ description: 'Response for refused visitors.' }),
  redirect: z
    .record(
      z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/),
      z
        .string()
        .max(253)
        .regex(new RegExp(`^${LABEL}(?:\\.${LABEL})*$`))
        .meta({ title: 'a host name without wildcard', examples: ['eu.example.com'] }),
    )
    .default({})
    .meta({
      examples: [{ eu: 'eu.example.com', us: 'us.example.com' }],
      description:
        'Region → host name of its own. Navigations to any other host of the site are sent to the host of the nearest healthy region (307).',
    }),
});

export type SiteGeoConfig = z.output<typeof siteGeoSchema>;

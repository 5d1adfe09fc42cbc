/**
 * The address that explains a request, as a table like that of purges (routes.ts).
 * @module
 */
import { z } from 'zod';
import type { Question } from '../cache/explanation.ts';
import { quote } from '../config/problem.ts';
import type { RegionConfig } from '../config/schema.ts';
import { isFieldLine } from '../http/fields/headers.ts';
import { parseAddress } from '../lib/address.ts';
import { ApiError, type FieldProblem } from './errors.ts';
import { explainAtNodes } from './explain.ts';
import type { NodeQuestions } from './node-questions.ts';
import type { Caller } from './purge-api.ts';
import { PROBLEM, REFUSALS, type Route } from './routes.ts';
import type { SiteDirectory } from './site-directory.ts';
import { maySite } from './tokens.ts';
import { validBody, validQuery } from './validate.ts';

const MAX_URL_CHARS = 16_384;
const MAX_FIELDS = 100;

const shape = {
  url: z
    .string()
    .max(MAX_URL_CHARS)
    .meta({ title: 'a URL', examples: ['https://www.example.com/news'], description: 'As a visitor asks for it.' }),
  method: z.enum(['GET', 'HEAD']).default('GET').meta({ description: 'Of the request.' }),
  address: z
    .string()
    .optional()
    .meta({ title: 'an IP address', examples: ['192.0.2.7'], description: 'Of the visitor; by default unknown.' }),
  region: z.string().optional().meta({ description: 'Whose edges are asked; by default the first with the site.' }),
};

const FIELDS = 'Fields of the request, each as `Name: value`.';
const field = z.string().max(MAX_URL_CHARS);

const querySchema = z.strictObject({
  ...shape,
  header: z
    .union([field, z.array(field).max(MAX_FIELDS)])
    .optional()
    .meta({ description: `${FIELDS} Can be repeated.` }),
});

const bodySchema = z
  .strictObject({
    ...shape,
    headers: z.array(field).max(MAX_FIELDS).default([]).meta({ description: FIELDS }),
    fetch: z
      .boolean()
      .default(false)
      .meta({ description: 'Ask for it as well, through the cache: what may be stored is stored.' }),
  })
  .meta({ id: 'ExplainRequest', title: 'ExplainRequest' });

const nodeShape = {
  region: z.string().meta({ description: 'Name of the region.' }),
  name: z.string().meta({ description: 'Name of the node.' }),
  role: z.enum(['edge', 'shield']).meta({ description: 'What the node is.' }),
};

/** Keys of an explanation are described in docs/explain.md: they are what the decision code says. */
const explainedSchema = z
  .strictObject({
    region: z.string().meta({ description: 'The region whose edges were asked.' }),
    nodes: z
      .array(
        z.strictObject({
          ...nodeShape,
          explanation: z
            .looseObject({})
            .nullable()
            .meta({ description: 'What the node would do, and why; null where it did not say.' }),
          problem: z.string().nullable().meta({ description: 'Why it did not say.' }),
        }),
      )
      .meta({ description: 'Edges, the owner of the key first; then shields in the order in which they are asked.' }),
  })
  .meta({ id: 'Explanation', title: 'Explanation' });

export interface ExplainOptions {
  readonly questions: NodeQuestions;
  readonly regions: () => readonly RegionConfig[];
  readonly sites: () => SiteDirectory;
}

export function explainRoutes(options: ExplainOptions): Route[] {
  const responses = {
    200: { description: 'What each node says.', schema: explainedSchema },
    400: PROBLEM,
    ...REFUSALS,
  };
  return [
    {
      method: 'GET',
      path: '/v1/explain',
      summary: 'What would become of a request at each node, and why.',
      token: true,
      query: querySchema,
      responses,
      async handle({ caller, query }) {
        const { header = [], ...rest } = validQuery(querySchema, query);
        return explain(options, caller, { ...rest, headers: [header].flat(), fetch: false }, 'parameter');
      },
    },
    {
      method: 'POST',
      path: '/v1/explain',
      summary: 'The same; with `fetch` what becomes of it when it is made.',
      token: true,
      body: bodySchema,
      responses,
      async handle({ caller, body }) {
        return explain(options, caller, validBody(bodySchema, body), 'pointer');
      },
    },
  ];
}

type Asked = z.output<typeof bodySchema>;

async function explain(
  { questions, regions, sites }: ExplainOptions,
  caller: Caller,
  asked: Asked,
  kind: 'parameter' | 'pointer',
): Promise<z.output<typeof explainedSchema>> {
  const refuse = (name: keyof Asked, detail: string, fix: string): ApiError => {
    const place: Partial<FieldProblem> = kind === 'pointer' ? { pointer: `/${name}` } : { parameter: name };
    return new ApiError('invalid_request', { errors: [{ ...place, detail, fix } as FieldProblem] });
  };
  const { method, url, address, fetch } = asked;
  const [, scheme, authority, rest = ''] = /^(https?):\/\/([^/?#\s]+)([^#\s]*)$/i.exec(url) ?? [];
  if (scheme === undefined || authority === undefined) {
    throw refuse('url', `expected a URL, found ${quote(url)}`, 'Write it as https://www.example.com/news?page=2.');
  }
  if (address !== undefined && parseAddress(address) === undefined) {
    throw refuse('address', `expected an IP address, found ${quote(address)}`, 'Write it as 192.0.2.7.');
  }
  const headers = asked.headers.flatMap((line) => {
    const [, name = '', value = ''] = /^([^:]*):[ \t]*(.*)$/.exec(line) ?? [];
    if (isFieldLine(name, value) && name !== '' && !/^host$/i.test(name)) return [name, value];
    const at = kind === 'pointer' ? 'headers' : ('header' as keyof Asked);
    throw refuse(at, `${quote(line)} is no field`, 'Write it as Accept-Language: de. The host is that of the URL.');
  });
  const host = authority.replace(/:\d+$/, '').toLowerCase();
  const named = sites().sitesOf(host);
  if (named.length === 0) {
    throw refuse('url', `no region file has a site for ${quote(host)}`, 'Name a host of one of the sites.');
  }
  if (!caller.token.read || !named.every(({ name }) => maySite(caller.token, name))) {
    throw new ApiError('forbidden', {
      detail: 'This token may not read about the site; use one that was made for it with --read.',
    });
  }
  const serving = regions().filter(({ sites: own }) => own.some((site) => named.includes(site)));
  const region = asked.region === undefined ? serving[0] : serving.find(({ region: name }) => name === asked.region);
  if (region === undefined) {
    const names = serving.map(({ region: name }) => name).join(', ');
    throw refuse('region', `${quote(String(asked.region))} is no region with this site`, `Name one of: ${names}.`);
  }
  const target = rest === '' || rest.startsWith('?') ? `/${rest}` : rest;
  const question: Question = {
    method,
    scheme: scheme.toLowerCase() as Question['scheme'],
    authority,
    target,
    headers,
    address,
    fetch,
  };
  const { nodes, region: name } = await explainAtNodes(questions, question, region, regions());
  return {
    region: name,
    nodes: nodes.map(({ explanation, problem, ...node }) => ({
      ...node,
      explanation: explanation === undefined ? null : { ...explanation },
      problem: problem ?? null,
    })),
  };
}

/**
 * Requests and responses of the purge API. The schemas validate requests and generate /openapi.json.
 * @module
 */
import { z } from 'zod';

/** Selectors in one call. */
export const MAX_SELECTORS = 1_000;
/** URLs and tags may be long; a thousand of them are usually far below this. */
export const MAX_PURGE_BODY_BYTES = 4 * 2 ** 20;
export const MAX_WAIT_SECONDS = 60;
const DEFAULT_WAIT_SECONDS = 10;
const MAX_TEXT = 16_384;
const MAX_PAGE = 100;

const list = <T extends z.ZodType>(item: T, description: string) =>
  z
    .array(item)
    .optional()
    .meta({ description: `${description} At most ${MAX_SELECTORS} selectors in one call, of all kinds together.` });

const url = z
  .string()
  .min(1)
  .max(MAX_TEXT)
  .meta({ title: 'a URL', examples: ['https://www.example.com/page'] });

export const fileSchema = z.union([
  url,
  z.strictObject({
    url: url.meta({ description: 'URL with its scheme.' }),
    headers: z
      .record(
        z
          .string()
          .max(256)
          .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/)
          .meta({ title: 'a header name', examples: ['Accept-Language'] }),
        z
          .string()
          .max(1_024)
          // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
          .regex(/^[^\0-\x08\x0a-\x1f\x7f]*$/)
          .meta({ title: 'a header value', examples: ['de'] }),
      )
      .default({})
      .meta({ description: 'Request headers that choose the one variant of it to purge; absent: all variants.' }),
  }),
]);

export const purgeRequestSchema = z
  .strictObject({
    site: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .meta({
        title: 'the name of a site',
        examples: ['shop'],
        description:
          'The site that tags belong to. URLs, prefixes, patterns and hosts that are named beside it have to be of it.',
      }),
    files: list(fileSchema, 'URLs, with everything that is stored for them; or one variant of a URL.'),
    tags: list(
      z
        .string()
        .max(4_096)
        .meta({ title: 'a tag', examples: ['product-17'] }),
      'Tags of responses, set by the origin. They need `site`.',
    ),
    prefixes: list(
      z
        .string()
        .max(MAX_TEXT)
        .meta({ title: 'a host with the beginning of a path', examples: ['www.example.com/blog/'] }),
      'Beginnings of URLs, as text: `www.example.com/a` takes /a/b and /ab.',
    ),
    patterns: list(
      z
        .string()
        .max(MAX_TEXT)
        .meta({ title: 'a host with a pattern of a path', examples: ['www.example.com/*.css'] }),
      'Patterns of whole URLs: `*` stands for any characters, also `/`, and for none.',
    ),
    hosts: list(
      z
        .string()
        .max(255)
        .meta({ title: 'a host name', examples: ['www.example.com'] }),
      'Host names without port.',
    ),
    purge_everything: z
      .literal(true)
      .optional()
      .meta({ description: 'Everything of `site`; without `site`, everything of every site.' }),
    soft: z.boolean().default(false).meta({
      description: 'Stale rather than gone: it may be served while it is revalidated, and when the origin fails.',
    }),
    reason: z.string().max(200).default('').meta({ description: 'Stored with the purge, and shown in the list.' }),
    wait: z
      .enum(['none', 'applied'])
      .default('none')
      .meta({ description: '`applied`: the answer comes when every node has applied the purge, or at the timeout.' }),
    timeout_seconds: z
      .number()
      .min(0)
      .max(MAX_WAIT_SECONDS)
      .default(DEFAULT_WAIT_SECONDS)
      .meta({ description: 'How long `wait: applied` waits.' }),
    dry_run: z
      .boolean()
      .default(false)
      .meta({ description: 'Purge nothing; say how many stored responses each node has that it would concern.' }),
  })
  .meta({ id: 'PurgeRequest', title: 'PurgeRequest' });

export type PurgeRequest = z.output<typeof purgeRequestSchema>;

const nodeShape = {
  region: z.string().meta({ description: 'Name of the region.' }),
  name: z.string().meta({ description: 'Name of the node.' }),
  role: z.enum(['edge', 'shield']).meta({ description: 'What the node is.' }),
};

const kinds = z
  .record(z.string(), z.number().int())
  .meta({ description: 'How many selectors of each kind.', examples: [{ url: 2, tag: 1 }] });

const purgeShape = {
  id: z.string().meta({ description: 'For GET /v1/purges/{id}.' }),
  status: z.enum(['applied', 'pending']).meta({
    description:
      '`applied`: every node that follows the journal, or should, has applied it, or validates what it concerns.',
  }),
  time: z.iso.datetime().meta({ description: 'When it was accepted.' }),
  first: z.number().int().meta({ description: 'Number of its first record in the journal.' }),
  last: z.number().int().meta({ description: 'Number of its last record in the journal.' }),
  who: z.string().meta({ description: 'Name and id of the token.' }),
  reason: z.string().meta({ description: 'As it was given.' }),
  soft: z.boolean().meta({ description: 'Stale rather than gone.' }),
  sites: z.array(z.string()).meta({ description: 'Sites that it concerns; `*`: all.' }),
  kinds,
};

export const summarySchema = z.strictObject(purgeShape).meta({ id: 'Purge', title: 'Purge' });

export const receiptSchema = z
  .strictObject({
    ...purgeShape,
    nodes: z
      .array(
        z.strictObject({
          ...nodeShape,
          connected: z.boolean().meta({ description: 'Whether the node follows the journal at the moment.' }),
          applied: z.boolean().meta({ description: 'Whether the node has applied the purge.' }),
          validates: z.boolean().meta({
            description:
              'Whether the node, which has not said that it applied the purge, validates what it serves: its lease (`purges.lease`) is over since the purge.',
          }),
          after_ms: z.number().nullable().meta({
            description: 'Milliseconds from the call until the node said so; null where it was not measured.',
          }),
        }),
      )
      .meta({
        description:
          'Every edge and shield that the region files name, or that has registered with any control node and was not forgotten.',
      }),
    selectors: z
      .array(
        z.strictObject({
          number: z.number().int().meta({ description: 'Its number in the journal.' }),
          kind: z.string().meta({ description: 'What it is.' }),
          selector: z.string().meta({ description: 'In the spelling of the cache key, without scheme.' }),
          site: z.string().meta({ description: 'Name of the site; `*`: all.' }),
        }),
      )
      .optional()
      .meta({ description: 'What was purged; only in the answer to GET /v1/purges/{id}.' }),
  })
  .meta({ id: 'Receipt', title: 'Receipt' });

export type Receipt = z.output<typeof receiptSchema>;
export type Summary = z.output<typeof summarySchema>;

export const dryRunSchema = z
  .strictObject({
    dry_run: z.literal(true).meta({ description: 'Nothing was purged.' }),
    kinds,
    nodes: z
      .array(
        z.strictObject({
          ...nodeShape,
          matches: z
            .number()
            .int()
            .nullable()
            .meta({ description: 'Stored responses that the purge would concern; null where the node did not say.' }),
          problem: z.string().optional().meta({ description: 'Why the node did not say.' }),
        }),
      )
      .meta({ description: 'Every edge and shield that the region files name.' }),
  })
  .meta({ id: 'DryRun', title: 'DryRun' });

export type DryRunAnswer = z.output<typeof dryRunSchema>;

export const listQuerySchema = z.strictObject({
  cursor: z
    .string()
    .regex(/^\d{1,15}$/)
    .optional()
    .meta({ title: 'a cursor', examples: ['117'], description: '`next` of the page before.' }),
  limit: z
    .string()
    .regex(/^(?:[1-9]\d?|100)$/)
    .default('20')
    .meta({ title: `a number from 1 to ${MAX_PAGE}`, examples: ['20'], description: 'Purges on a page.' }),
});

export const pageSchema = z
  .strictObject({
    purges: z.array(summarySchema).meta({ description: 'Newest first.' }),
    next: z
      .string()
      .nullable()
      .meta({ description: 'Cursor of the next page; null on the last one. A page may be empty all the same.' }),
  })
  .meta({ id: 'Page', title: 'Page' });

export type Page = z.output<typeof pageSchema>;

export const problemSchema = z
  .looseObject({
    type: z.string().meta({ description: 'urn:seawall:problem:CODE.' }),
    title: z.string().meta({ description: 'The same for every occurrence.' }),
    status: z.number().int().meta({ description: 'As in the status line.' }),
    code: z.string().meta({ description: 'Stable name of the problem.' }),
    detail: z.string().optional().meta({ description: 'What exactly is wrong.' }),
    errors: z
      .array(
        z.strictObject({
          pointer: z.string().optional().meta({ description: 'JSON Pointer into the body.' }),
          header: z.string().optional().meta({ description: 'Name of the header, in the place of a pointer.' }),
          parameter: z.string().optional().meta({ description: 'Name of the parameter, in the place of a pointer.' }),
          detail: z.string().meta({ description: 'What is wrong there.' }),
          fix: z.string().meta({ description: 'What to send instead.' }),
        }),
      )
      .optional()
      .meta({ description: 'Each thing to mend.' }),
  })
  .meta({ id: 'Problem', title: 'Problem' });

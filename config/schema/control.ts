/**
 * The schema of a control node.
 * @module
 */
import { z } from 'zod';
import { address, fileName, nodeName, PORT } from '../scalars.ts';
import { duration, positiveSize } from '../units.ts';
import { listenerDescription } from './node.ts';

/** Beginning of an address of HTTP or HTTPS, without a path. */
const HOST = '(?:\\[[0-9a-fA-F:.]+\\]|[0-9A-Za-z.-]+)';
const ENDPOINT = new RegExp(`^https?://${HOST}:${PORT}$`);
const PREFIX = /^\/(?:[\w.-]+\/)*$/;

const etcdSchema = z.strictObject({
  endpoints: z
    .array(
      z
        .string()
        .regex(ENDPOINT)
        .meta({ title: 'http://HOST:PORT or https://HOST:PORT', examples: ['https://10.0.0.11:2379'] }),
    )
    .min(1)
    .max(9)
    .meta({ description: 'Addresses of the members of etcd, all of them; the next one is used when one is gone.' }),
  prefix: z
    .string()
    .max(200)
    .regex(PREFIX)
    .default('/seawall/')
    .meta({
      title: 'a beginning of keys that begins and ends with a slash',
      examples: ['/seawall/', '/cdn/production/'],
      description: 'Beginning of all keys, so that others can use the same etcd.',
    }),
  tls: z
    .strictObject({
      ca_file: fileName
        .optional()
        .meta({ title: 'a file', description: 'Certificates of the authority of the members, in PEM.' }),
      cert_file: fileName
        .optional()
        .meta({ title: 'a file', description: 'Certificate of this control node, in PEM, where etcd wants one.' }),
      key_file: fileName.optional().meta({ title: 'a file', description: 'Private key of `cert_file`, in PEM.' }),
    })
    .optional()
    .meta({ description: 'Certificates for `https` endpoints, relative to this file.' }),
  username: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .meta({ title: 'a name', examples: ['seawall'], description: 'Name of the user, where etcd has authentication.' }),
  password: z
    .string()
    .min(1)
    .max(1_024)
    .optional()
    .meta({
      title: 'a password, or an environment variable',
      examples: [`\${SEAWALL_ETCD_PASSWORD}`],
      // A secret: never shown in a message.
      writeOnly: true,
      description: `Password of the user; \`\${NAME}\` reads an environment variable.`,
    }),
  password_file: fileName
    .optional()
    .meta({ title: 'a file', description: 'File with the password in its first line, in place of `password`.' }),
  quota: positiveSize.prefault('2GiB').meta({
    description:
      'Size at which etcd takes no more writes, as its `--quota-backend-bytes` says; the log warns at 80 % of it.',
  }),
  compact: z.boolean().default(true).meta({
    description:
      'Let etcd forget old revisions, which concerns all that is in it; `false` where others share it and do that, or read old ones.',
  }),
});

export type EtcdConfig = z.output<typeof etcdSchema>;

export const controlSchema = z.strictObject({
  name: nodeName.default('control').meta({ description: 'Name of the control node, unique in the network.' }),
  listen: address.meta(listenerDescription),
  tier: address.optional().meta({
    description:
      'HOST:PORT for other nodes, with `tier_tls`: they connect to it, and it answers nodes only. Without `tier_tls` they use `listen`.',
  }),
  data: fileName.default('seawall-data').meta({
    title: 'a folder',
    examples: ['/var/lib/seawall'],
    description:
      'Folder of the journal of purges, the tokens and the audit log, relative to this file; with `journal.etcd` only the key of the audit log is kept there.',
  }),
  journal: z
    .strictObject({
      etcd: etcdSchema.meta({ description: 'An etcd that all control nodes of the network share.' }),
    })
    .optional()
    .meta({
      description:
        'Where journal, tokens, drains and audit log are kept; by default in `data`, for the only control node of a network.',
    }),
  retention: duration.prefault('30d').meta({
    description: 'Time that a purge stays in the journal; responses stored before that are fetched again.',
  }),
  max_records: z.number().int().min(1_000).max(100_000_000).default(1_000_000).meta({
    description:
      'Maximum number of purges in the journal and in the memory of nodes; beyond it the oldest are dropped.',
  }),
  rate_limits: z
    .strictObject({
      calls: z
        .number()
        .int()
        .min(1)
        .max(1_000_000)
        .default(2_000)
        .meta({ description: 'Calls per second with one token, with a burst of five seconds’ worth.' }),
      selectors: z.number().int().min(1).max(1_000_000).default(20_000).meta({
        description: 'URLs, tags, prefixes and hosts per second with one token, with a burst of five seconds’ worth.',
      }),
    })
    .prefault({})
    .meta({ description: 'Rate limits for one token at one control node; beyond them 429.' }),
  jobs: z
    .strictObject({
      lease: duration.prefault('15s').meta({
        description:
          'Time after which a step of a job is given to another node, if the one that has it does not answer.',
      }),
      retention: duration.prefault('7d').meta({ description: 'Time that a job is kept after it has ended.' }),
      max_jobs: z
        .number()
        .int()
        .min(1)
        .max(1_000)
        .default(200)
        .meta({ description: 'Jobs to keep; the oldest that have ended go.' }),
      max_active: z
        .number()
        .int()
        .min(1)
        .max(100)
        .default(20)
        .meta({ description: 'Jobs that may be in the queue at a time; beyond them 429.' }),
    })
    .prefault({})
    .meta({ description: 'Jobs: what nodes do in the background.' }),
  audit_log: z
    .strictObject({
      key_file: fileName.optional().meta({
        title: 'a file',
        examples: ['/etc/seawall/audit.key'],
        description:
          'Private key that signs the audit log, of Ed25519 in PEM, relative to this file; made where there is none. By default `audit.key` in `data`, also with `journal.etcd`.',
      }),
      known_keys: z
        .array(z.string().min(1).max(400).meta({ title: 'a public key' }))
        .max(100)
        .default([])
        .meta({
          examples: [['seawall/acme/audit+5abe3b58+AQKyc05ngzxFyiG58qi5i3tWZfEco+smhR1KRqrsig6y']],
          description:
            'Public keys of the other control nodes, as `seawall audit key` prints them: what is signed by another key is not signed over.',
        }),
      max_entries: z
        .number()
        .int()
        .min(1_000)
        .max(10_000_000)
        .default(100_000)
        .meta({ description: 'Entries to keep with the journal; the oldest ones go.' }),
      max_size: positiveSize.prefault('64MiB').meta({ description: 'Size at which the file is rotated.' }),
      files: z
        .number()
        .int()
        .min(1)
        .max(1_000)
        .default(5)
        .meta({ description: 'Number of files to keep, the current one included.' }),
    })
    .prefault({})
    .meta({
      description: 'Audit log: with the journal (GET /v1/audit), and a copy in audit.jsonl in the data folder, if any.',
    }),
});

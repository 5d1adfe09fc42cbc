/**
 * The schema of checks of origin servers.
 * @module
 */
import { z } from 'zod';
import { timeout } from '../units.ts';

export const checkSchema = z.strictObject({
  path: z
    .string()
    .max(2_000)
    .regex(/^\/[\x21-\x7e]*$/)
    .optional()
    .meta({
      title: 'a path, perhaps with a query',
      examples: ['/healthz'],
      description:
        'Path of a GET request that a healthy server answers with a status of `status`. Absent: a server is healthy if it accepts a connection, with TLS for https; a process that hangs still does.',
    }),
  host: z
    .string()
    .regex(/^[0-9A-Za-z.:[\]-]+$/)
    .optional()
    .meta({ title: 'a host name', description: 'Host of the request; by default the server’s own.' }),
  status: z
    .array(z.number().int().min(200).max(599))
    .min(1)
    .max(100)
    .optional()
    .meta({ title: 'a list of statuses', description: 'Statuses of a healthy server; by default all below 400.' }),
  interval: timeout.prefault('1s').meta({
    description: 'Interval of checks, up to a tenth shorter or longer; a check that fails is repeated at once.',
  }),
  timeout: timeout.prefault('1s').meta({ description: 'Time limit for each check.' }),
  unhealthy_after: z.number().int().min(1).max(100).default(2).meta({
    description: 'Failed checks in a row for which a server is left out.',
  }),
  healthy_after: z.number().int().min(1).max(100).default(2).meta({
    description: 'Good checks in a row after which a server is used again.',
  }),
});

export type CheckConfig = z.output<typeof checkSchema>;

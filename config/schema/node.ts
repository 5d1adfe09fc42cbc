/**
 * The schemas of an edge and of a shield.
 * @module
 */
import { z } from 'zod';
import { address, fileName, nodeName } from '../scalars.ts';
import { positiveSize, sizeLike } from '../units.ts';
import { publicAddressesSchema } from './geo.ts';
import { weight } from './weight.ts';

/** A smaller one would hold few segments (cache/disk/). */
const MIN_DISK_BYTES = 256 * 1024 * 1024;

export const listenerDescription = { description: 'HOST:PORT to listen on; port 0 takes a free one.' };
const tier = address.meta({
  description: 'HOST:PORT for other nodes: they connect to it, and this node listens on it.',
});
const control = address
  .optional()
  .meta({ description: 'HOST:PORT of the node’s own control listener (/metrics, /healthz).' });

const disk = z
  .strictObject({
    path: fileName.meta({
      title: 'a folder',
      examples: ['/var/cache/seawall'],
      description:
        'Folder of this node’s own, relative to this file. It is made if it is missing, with mode 0700; another process that uses it is refused.',
    }),
    size: sizeLike('50GiB').pipe(z.number().min(MIN_DISK_BYTES)).meta({
      title: 'a size of at least 256MiB',
      description: 'Space for stored responses. It is taken as it fills up, and not given back.',
    }),
    write_rate: positiveSize.prefault('64MiB').meta({
      description: 'Bytes a second that may be written; what is beyond that stays in memory only.',
    }),
  })
  .optional()
  .meta({
    description:
      'Disk for responses that were used a second time: they are served after a restart, and when memory has evicted them. Absent: memory only.',
  });

export const edgeSchema = z.strictObject({
  name: nodeName.meta({ description: 'Name of the edge, unique in the network.' }),
  listen: address.meta(listenerDescription),
  listen_tls: address.optional().meta({
    description: 'HOST:PORT to listen on for TLS: HTTP/2 and HTTP/1.1, with the certificates of the sites.',
  }),
  public: publicAddressesSchema,
  tier,
  control,
  weight: weight.meta({ description: 'Share of the region’s keys relative to its other edges.' }),
  memory: positiveSize.optional().meta({
    description: 'Memory of its process, as in the region ([sizing](sizing.md)); by default the region’s.',
  }),
  workers: z.number().int().min(1).max(256).optional().meta({
    description:
      'Threads that share the edge’s work, its addresses and its memory; by default one for each core of the machine.',
  }),
  disk,
});

export const shieldSchema = z.strictObject({
  name: nodeName.meta({ description: 'Name of the shield, unique in the network.' }),
  tier,
  control,
  weight: weight.meta({ description: 'Share of a site’s keys relative to its other shields.' }),
  memory: positiveSize
    .optional()
    .meta({ description: 'Memory of its process, as in the region ([sizing](sizing.md)); by default the region’s.' }),
  disk,
});

export type EdgeConfig = z.output<typeof edgeSchema>;
export type ShieldConfig = z.output<typeof shieldSchema>;
export type DiskConfig = NonNullable<EdgeConfig['disk']>;

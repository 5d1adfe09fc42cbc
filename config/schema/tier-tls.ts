/**
 * The schema of the certificates of nodes.
 * @module
 */
import { z } from 'zod';
import { fileName } from '../scalars.ts';

const OF_EACH_NODE =
  '`{node}` in it stands for the name of the node. Relative to this file; read again when it changes.';

export const tierTlsSchema = z.strictObject({
  cert_file: fileName.meta({
    title: 'a file',
    examples: ['tls/{node}.pem'],
    description: `Certificate of the node, in PEM. ${OF_EACH_NODE}`,
  }),
  key_file: fileName.meta({
    title: 'a file',
    examples: ['tls/{node}.key'],
    description: `Private key of \`cert_file\`, in PEM. ${OF_EACH_NODE}`,
  }),
  ca_file: fileName.meta({
    title: 'a file',
    examples: ['tls/ca.pem'],
    description:
      'Certificates of the authorities of the network, in PEM: more than one while an authority is replaced. Relative to this file; read again when it changes.',
  }),
  crl_file: fileName.optional().meta({
    title: 'a file',
    examples: ['tls/revoked.pem'],
    description:
      'Certificates that are revoked: lists of the authorities, in PEM. Relative to this file; a change takes effect within ten seconds, on open connections too.',
  }),
});

export type TierTlsConfig = z.output<typeof tierTlsSchema>;

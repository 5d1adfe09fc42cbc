/**
 * Permissions of each role, enforced by the node that is asked.
 * @module
 */
import type { Role } from './identity.ts';

export const PERMISSIONS = {
  ask_owner: { roles: ['edge'], at: 'edge', meaning: 'ask an edge of the same region as the owner of a key' },
  ask_shield: { roles: ['edge'], at: 'shield', meaning: 'ask a shield' },
  heartbeat: { roles: ['edge'], at: 'edge, shield', meaning: 'ask whether it answers' },
  share_limits: {
    roles: ['edge'],
    at: 'edge',
    meaning: 'tell an edge of the same region what it has counted for rate limits',
  },
  count_matches: {
    roles: ['control'],
    at: 'edge, shield',
    meaning: 'count the stored responses that a purge would match, for a dry run',
  },
  explain_request: {
    roles: ['control'],
    at: 'edge, shield',
    meaning: 'ask what the node would do with a request, and why',
  },
  read_journal: { roles: ['edge', 'shield', 'admin'], at: 'control', meaning: 'follow the journal of purges' },
  report_progress: {
    roles: ['edge', 'shield'],
    at: 'control',
    meaning: 'report which purges it has applied, and its traffic',
  },
  append_purges: {
    roles: ['edge', 'shield'],
    at: 'control',
    meaning: 'append purges, of sites that its region file names only',
  },
  work_on_jobs: {
    roles: ['edge', 'shield'],
    at: 'control',
    meaning: 'take steps of jobs, and report what came of them',
  },
  read_network: { roles: ['edge', 'dns', 'admin'], at: 'control', meaning: 'follow the state of the network' },
} as const satisfies Record<string, { roles: readonly Role[]; at: string; meaning: string }>;

export type Permission = keyof typeof PERMISSIONS;

export function isPermitted(role: Role, permission: Permission): boolean {
  return (PERMISSIONS[permission].roles as readonly Role[]).includes(role);
}

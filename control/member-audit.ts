/**
 * Entries of the audit log about nodes: that one has registered, or runs another version, another config or another
 * certificate than before, or goes by another list of revoked certificates.
 * @module
 */
import type { AuditLog } from './audit.ts';
import { type MemberChange, rowKey } from './members.ts';

/** Writes the entry, once for all control nodes that have noticed. Never rejects. */
export function noteChange(audit: Pick<AuditLog, 'write'>, { action, member, before }: MemberChange): Promise<void> {
  const { name, role, region, about, changes } = member;
  const { version, config, certificate_expires: certificate, revocations, since } = about ?? {};
  const from = before?.about ?? undefined;
  const entry = {
    address: '',
    action,
    result: 'ok',
    member: name,
    role,
    region,
    ...(version !== undefined && { version }),
    ...(config !== undefined && { config }),
    ...(certificate !== undefined && { certificate }),
    ...(revocations !== undefined && { revocations }),
    ...(from !== undefined && { before: FACTS_OF[action](from) }),
  };
  const key = JSON.stringify([
    rowKey(member),
    changes,
    action,
    version,
    config,
    certificate,
    revocations ?? null,
    since,
  ]);
  return audit.write(entry, action === 'register node' ? undefined : { key: `member:${key}`, body: Buffer.from(key) });
}

type About = NonNullable<MemberChange['member']['about']>;

/** Returns what it was before, for each change. */
const FACTS_OF: Readonly<Record<MemberChange['action'], (about: About) => string | null>> = {
  'register node': ({ version }) => version,
  'version of node': ({ version }) => version,
  'config of node': ({ config }) => config,
  'certificate of node': ({ certificate_expires: expires }) => expires ?? null,
  'revocation list of node': ({ revocations }) => revocations ?? null,
};

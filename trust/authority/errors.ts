/**
 * Failures of an authority's operations, and of the files that a node has from it, each with what to do instead.
 * @module
 */

export const AUTHORITY_ERRORS = {
  authority_missing: 'The folder holds no authority.',
  authority_exists: 'The folder holds an authority already.',
  authority_broken: 'A file of the authority is not what it should be.',
  authority_unknown: 'The authority has issued no such certificate.',
  authority_name: 'The name, the role or the region cannot stand in a certificate.',
  certificate_unusable: 'A file that `tier_tls` names cannot be used; the message names it, and the fix.',
} as const;

export type AuthorityErrorCode = keyof typeof AUTHORITY_ERRORS;

export class AuthorityError extends Error {
  override readonly name = 'AuthorityError';
  readonly code: AuthorityErrorCode;
  readonly fix: string;

  constructor(code: AuthorityErrorCode, message: string, fix: string) {
    super(message);
    this.code = code;
    this.fix = fix;
  }
}

/**
 * Failures of an authority's operations, each with what to do instead.
 * @module
 */

export const AUTHORITY_ERRORS = {
  authority_missing: 'The folder holds no authority.',
  authority_exists: 'The folder holds an authority already.',
  authority_broken: 'A file of the authority is not what it should be.',
  authority_request: 'The certificate request cannot be used.',
  authority_unknown: 'The authority has issued no such certificate.',
  authority_name: 'The name, the role or the region cannot stand in a certificate.',
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

import type { PreparedForm } from '../prepared-delivery.ts';

/** Prepared bytes of HTTP/1.1. */
export const HTTP1_FORM: PreparedForm = {
  index: 0,
  beginningOf: (head) => head,
  headOf: (head) => Buffer.from(head, 'latin1'),
};

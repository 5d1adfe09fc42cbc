import type { PreparedForm } from '../prepared-delivery.ts';
import { answerFrames } from './frames.ts';
import { http2Headers } from './head-translation.ts';
import { headerBlock } from './header-block.ts';

/** Prepared bytes of HTTP/2: frames of a stream whose number is written over when they are sent. */
export const HTTP2_FORM: PreparedForm = {
  index: 1,
  beginningOf: (head, bodyBytes) => answerFrames(headerBlock(fieldsIn(head)), bodyBytes),
  headOf: (head) => headerBlock(fieldsIn(head)),
};

/** @returns The fields of a head of HTTP/1.1, as HTTP/2 has them. */
function fieldsIn(head: string): string[] {
  const lines = head.split('\r\n');
  const headers: string[] = [];
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(': ');
    if (colon > 0) headers.push(line.slice(0, colon), line.slice(colon + 2));
  }
  return http2Headers(Number((lines[0] as string).split(' ')[1]), headers);
}

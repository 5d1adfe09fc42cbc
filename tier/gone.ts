/**
 * Noticing that whoever asked has gone.
 * @module
 */
import type { ServerResponse } from 'node:http';

/** @returns A signal that is aborted when the connection closes before the answer is written. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

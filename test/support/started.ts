/**
 * Evidence for a listener of a test that stands alone: nothing has to start before it.
 * @module
 */
import { Components, type Started } from '../../lib/components.ts';

interface Kept {
  readonly started: Started;
  close(): void;
}

const { kept } = await new Components().listen(
  { kept: async (started: Started): Promise<Kept> => ({ started, close: () => undefined }) },
  { close: (part: Kept) => part.close() },
);

export const STARTED: Started = kept.started;

/**
 * The process whose place this one takes, if it was started by one.
 * @module
 */
import { once } from 'node:events';
import { inheritSockets } from '../../http/listener/sockets.ts';
import { isMessage, SOCKETS_VARIABLE, type ToPredecessor, type ToSuccessor } from './messages.ts';
import { givenSockets } from './successor.ts';

export interface Predecessor {
  /** True if the predecessor may end from now on. */
  readonly hasHandedOver: boolean;
  /** Resolves when journals and disks can be opened here. */
  release(): Promise<void>;
  /** Says that the nodes of this process serve: the predecessor takes no more connections. */
  serving(): void;
}

/** Takes the sockets that this process was given. @returns `undefined` if it was started by none. */
export function findPredecessor({ env }: Pick<NodeJS.Process, 'env'> = process): Predecessor | undefined {
  const text = env[SOCKETS_VARIABLE];
  if (text === undefined || process.send === undefined) return undefined;
  delete env[SOCKETS_VARIABLE]; // not for processes that this one starts
  inheritSockets(givenSockets(JSON.parse(text) as string[][]));
  let hasHandedOver = false;
  const send = (message: ToPredecessor): void => void process.send?.(message);
  return {
    get hasHandedOver() {
      return hasHandedOver;
    },
    async release() {
      const answered = once(process, 'message');
      send({ seawall: 'release' });
      const [message] = await answered;
      if (!isMessage<ToSuccessor>(message, 'released')) throw new TypeError('the predecessor answered something else');
    },
    serving() {
      process.on('message', (message) => {
        hasHandedOver ||= isMessage<ToSuccessor>(message, 'independent');
      });
      send({ seawall: 'serving' });
    },
  };
}

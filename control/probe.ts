/**
 * Asks a node whether it is there: GET /healthz on its control listener.
 * @module
 */
import { Agent } from 'undici';

export interface Probe {
  /** @param address - HOST:PORT of a control listener. Never throws: whatever goes wrong means no. */
  isUp(address: string): Promise<boolean>;
  close(): Promise<void>;
}

/** A node that takes longer counts as unhealthy. */
const PROBE_TIMEOUT_MS = 1_000;

export function createProbe(): Probe {
  const agent = new Agent({ connections: 1, keepAliveTimeout: 1_000 });
  return {
    async isUp(address) {
      try {
        const { statusCode, body } = await agent.request({
          origin: `http://${address}`,
          path: '/healthz',
          method: 'GET',
          signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
        });
        await body.dump();
        return statusCode === 200;
      } catch {
        // Refused, timed out or cut off: in each case it does not answer.
        return false;
      }
    },
    close: () => agent.close(),
  };
}

/**
 * The network on the wire, between the control node and those who steer.
 *
 *     GET /v1/network
 *
 * answers `application/x-ndjson` for as long as both sides like: the network
 * whenever it has changed, the first time at once, and in between, twice a
 * second, that nothing has.
 *
 *     {"type":"network","network":{"regions":[…]}}
 *     {"type":"heartbeat"}
 *
 * The call carries the field by which nodes know each other (http/fields/tier-field.ts).
 * @module
 */

export const NETWORK_PATH = '/v1/network';
export const NETWORK_CONTENT_TYPE = 'application/x-ndjson';

/** Interval of lines on the stream. */
export const NETWORK_HEARTBEAT_MS = 500;

/** Silence after which the control node counts as lost. */
export const NETWORK_SILENCE_MS = 1_500;

/**
 * Distances on the globe, taken as a sphere: half a percent off at worst.
 * @module
 */
import type { Coordinates } from './location.ts';

/** The mean radius (IUGG), in kilometres. */
export const EARTH_RADIUS_KM = 6_371.0088;

/** A point on the unit sphere. */
export type Direction = readonly [x: number, y: number, z: number];

export function directionOf([latitude, longitude]: Coordinates): Direction {
  const phi = (latitude * Math.PI) / 180;
  const lambda = (longitude * Math.PI) / 180;
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
}

/** @returns The great-circle distance in kilometres; by the chord, which is exact for near points as well. */
export function distanceKm(a: Direction, b: Direction): number {
  const chord = Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, chord / 2));
}

/**
 * Weights: the share of a common resource that a server or a node is given.
 * @module
 */
import { z } from 'zod';

export const weight = z.number().int().min(1).max(100).default(1);

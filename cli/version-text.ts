/**
 * Versions of Seawall and of Node.js, as `--version` prints them.
 * @module
 */
import { VERSION } from '../lib/version.ts';

export const VERSION_TEXT = `seawall ${VERSION} (Node ${process.versions.node})`;

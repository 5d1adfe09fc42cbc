/**
 * Files that the pages load: modules and styles of the dashboard, and the packages that they use, served as they are.
 * @module
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  /** Entity tag: changes with the content. */
  readonly etag: string;
}

/** @returns A file beside the module that is imported by the name of the package. */
function packaged(name: string, file: string): string {
  return join(dirname(fileURLToPath(import.meta.resolve(name))), file);
}

/** Path below `/dashboard/assets/` → file. */
function files(): Readonly<Record<string, string>> {
  const own = (path: string): string => join(import.meta.dirname, path);
  return {
    'style.css': own('style.css'),
    'icon.svg': own('icon.svg'),
    'browser/main.js': own('browser/main.js'),
    'browser/charts.js': own('browser/charts.js'),
    'views/html.js': own('views/html.js'),
    'views/format.js': own('views/format.js'),
    'views/parts.js': own('views/parts.js'),
    'views/pages.js': own('views/pages.js'),
    'packages/preact.js': packaged('preact', 'preact.mjs'),
    'packages/htm.js': packaged('htm', 'htm.mjs'),
    'packages/uplot.js': packaged('uplot', 'uPlot.esm.js'),
    'packages/uplot.css': packaged('uplot', 'uPlot.min.css'),
  };
}

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** A browser finds packages by their addresses, Node by their names. */
const PACKAGE = /from '(htm|preact|uplot)'/g;
const MAP = /\n\/\/# sourceMappingURL=.*\n?$/;

/** @returns The files by their paths, as they are served. */
export function readAssets(): ReadonlyMap<string, Asset> {
  return new Map(
    Object.entries(files()).map(([path, file]) => {
      const text = readFileSync(file, 'utf8')
        .replace(PACKAGE, "from '/dashboard/assets/packages/$1.js'")
        .replace(MAP, '\n');
      const body = Buffer.from(text);
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 16)}"`;
      return [path, { type: TYPES[extname(path)] ?? '', body, etag }];
    }),
  );
}

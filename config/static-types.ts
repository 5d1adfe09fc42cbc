/**
 * Extensions of static files, and the media types that files with them have. A page that a
 * server makes for `/account/x.css`, as it does not look at the end of the path, is of another type.
 * @module
 */

const SCRIPT = ['text/javascript', 'application/javascript', 'application/x-javascript', 'text/ecmascript'];
/** Types of servers that do not know better: they say that it is no page. */
const BINARY = ['application/octet-stream', 'binary/octet-stream'];
const IMAGE = ['image/', ...BINARY];
const FONT = [
  ...[
    'font/',
    'application/font-',
    'application/x-font-',
    'application/vnd.ms-fontobject',
    'application/vnd.ms-opentype',
  ],
  ...BINARY,
];
const SOUND = ['audio/', 'video/', 'application/ogg', ...BINARY];

/** Beginnings of media types, for each extension. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  css: ['text/css'],
  js: SCRIPT,
  mjs: SCRIPT,
  map: [...SCRIPT, ...BINARY], // not JSON, which is what an API answers with for `/me/x.map`
  wasm: ['application/wasm', ...BINARY],
  ...eachAs(IMAGE, 'png jpg jpeg gif webp avif bmp tif tiff ico jxl'),
  svg: ['image/svg+xml'],
  ...eachAs(FONT, 'woff woff2 ttf otf eot'),
  ...eachAs(SOUND, 'mp4 webm ogv mov m4v mkv mp3 m4a ogg oga opus wav flac aac'),
  pdf: ['application/pdf', ...BINARY],
};

/** Extensions of static files, in lower case. */
export const STATIC_EXTENSIONS: readonly string[] = Object.keys(TYPES);

/** @param path - In the form of `rulePath`; or a pattern. */
export function staticExtension(path: string): string | undefined {
  const extension = path.slice(path.lastIndexOf('.') + 1);
  return Object.hasOwn(TYPES, extension) && path.length > extension.length ? extension : undefined;
}

/**
 * Returns whether the type is one that a file with the extension of `path` has; of a path without such an extension any
 * is.
 */
export function fitsExtension(path: string, contentType: string | undefined): boolean {
  const extension = staticExtension(path);
  if (extension === undefined) return true;
  const type = contentType?.trimStart().toLowerCase() ?? '';
  if (type.includes(',')) return false; // several types, of which browsers take the last
  return (TYPES[extension] as readonly string[]).some(
    (known) => type.startsWith(known) && (known.endsWith('/') || known.endsWith('-') || isEnd(type[known.length])),
  );
}

function isEnd(char: string | undefined): boolean {
  return char === undefined || char === ';' || char === ' ' || char === '\t';
}

function eachAs(types: readonly string[], extensions: string): Record<string, readonly string[]> {
  return Object.fromEntries(extensions.split(' ').map((extension) => [extension, types]));
}

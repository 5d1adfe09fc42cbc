/** The requests that are sent: the objects of the origin, and what browsers say besides. @module */

export const KILOBYTE = 1024;
export const HUNDRED_KILOBYTES = 100 * 1024;
export const TEN_MEGABYTES = 10 * 1024 * 1024;

/** ETag of the origin for objects of a size. */
export function etagOf(bytes: number): string {
  return `"object-of-${bytes}"`;
}

/** @param name - Makes objects of one size different ones. */
export function objectPath(bytes: number, name = 'a'): string {
  return `/object/${bytes}/${name}`;
}

/** Header fields of Firefox' request for a style sheet, besides Host: nine, in its order. */
export const BROWSER: readonly string[] = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'Accept: text/css,*/*;q=0.1',
  'Accept-Language: en-GB,en;q=0.8,de;q=0.5,fr;q=0.3',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Connection: keep-alive',
  'Referer: http://127.0.0.1/articles/2026/a-page-that-has-a-style-sheet.html',
  'Sec-Fetch-Dest: style',
  'Sec-Fetch-Mode: no-cors',
  'Sec-Fetch-Site: same-origin',
];

/** The bytes of a request without a body. */
export function headOf(port: number, path: string, fields: readonly string[] = []): string {
  return [`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...fields, '', ''].join('\r\n');
}

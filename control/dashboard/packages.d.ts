/**
 * Parts of Preact that the server uses. Its own types bring those of a browser's page with them, for all of the
 * program.
 * @module
 */

export type ComponentChild = object | string | number | null | undefined;

export declare function h(type: unknown, props: object | null, ...children: unknown[]): ComponentChild;

export declare function renderToString(markup: ComponentChild): string;

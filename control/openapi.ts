/**
 * The OpenAPI 3.1 document of the control node, made from its table of routes.
 * @module
 */
import { z } from 'zod';
import type { Route, RouteResponse } from './routes.ts';

type Json = Record<string, unknown>;

const ABOUT = `Purges and regions of a Seawall network. Every number in the journal is given out once, in order;
a purge is in the journal, on the disk, before it is answered.`;

export function openApiDocument(routes: readonly Route[]): Json {
  const components: Json = {};
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, components) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Seawall control', version: '1', description: ABOUT.replaceAll('\n', ' '), license: LICENSE },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: components,
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A token made by `seawall token create`.' },
      },
    },
  };
}

const LICENSE = { name: 'MIT', identifier: 'MIT' };

function operation(route: Route, components: Json): Json {
  const { summary, token, body, isBodyOptional = false, query, params = {}, headers = {}, responses } = route;
  const parameters = [
    ...Object.entries(params).map(([name, description]) => parameter('path', name, description)),
    ...Object.entries(headers).map(([name, description]) => parameter('header', name, description)),
    ...queryParameters(query, components),
  ];
  return {
    operationId: operationId(route),
    summary,
    ...(token && { security: [{ token: [] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: !isBodyOptional,
        content: { 'application/json': { schema: schemaOf(body, 'input', components) } },
      },
    }),
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, response]) => [status, responseOf(response, components)]),
    ),
  };
}

function operationId({ method, path }: Route): string {
  const words = path.split(/[/:]+/).filter((word) => word !== '' && word !== 'v1');
  return [method.toLowerCase(), ...words].join('_').replaceAll(/\W/g, '_');
}

function parameter(place: string, name: string, description: string): Json {
  return { name, in: place, description, required: place === 'path', schema: { type: 'string' } };
}

function queryParameters(query: z.ZodObject | undefined, components: Json): Json[] {
  return Object.entries(query?.shape ?? {}).map(([name, schema]) => {
    const { description, ...rest } = schemaOf(schema as z.ZodType, 'input', components);
    return { name, in: 'query', required: false, description, schema: rest };
  });
}

function responseOf({ description, schema, contentType = 'application/json' }: RouteResponse, components: Json): Json {
  if (schema === undefined) return { description };
  return { description, content: { [contentType]: { schema: schemaOf(schema, 'output', components) } } };
}

/** @returns The schema, or a reference to it: those with an id stand under `components`, once. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', components: Json): Json {
  const { $schema: _, ...whole } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' }) as Json;
  const { $defs = {}, ...made } = whole as Json & { $defs?: Json };
  for (const [id, definition] of Object.entries($defs)) components[id] ??= inComponents(definition);
  return inComponents(made) as Json;
}

/** References of JSON Schema are to `$defs`, those of OpenAPI to `components`. */
function inComponents(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inComponents);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) =>
      key === '$ref' ? [key, String(member).replace('#/$defs/', '#/components/schemas/')] : [key, inComponents(member)],
    ),
  );
}

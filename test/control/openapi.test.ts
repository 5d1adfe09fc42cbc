/** Description of the API. */
import { test } from 'tap';
import { startTestControl } from './control.ts';

type Json = Record<string, unknown>;

test('the OpenAPI document lists every address, and every reference resolves', async (t) => {
  const control = await startTestControl(t);
  const { status, body } = await control.get<Json>('/openapi.json', 'none');
  t.equal(status, 200);
  t.match(body, {
    openapi: '3.1.0',
    paths: {
      '/v1/purges': {
        post: {
          security: [{ token: [] }],
          requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/PurgeRequest' } } } },
          responses: {
            202: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Receipt' } } } },
            422: { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
          },
        },
        get: { parameters: [{ name: 'cursor', in: 'query' }, { name: 'limit' }] },
      },
      '/v1/purges/{id}': { get: { parameters: [{ name: 'id', in: 'path', required: true }] } },
    },
    components: { schemas: { PurgeRequest: { additionalProperties: false, properties: { files: {}, soft: {} } } } },
  });
  const { schemas } = body['components'] as { schemas: Json };
  const references = [...JSON.stringify(body).matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference ?? '');
  t.ok(references.length > 5);
  for (const reference of new Set(references)) {
    const [, name = ''] = /^#\/components\/schemas\/(\w+)$/.exec(reference) ?? [];
    t.ok(Object.hasOwn(schemas, name), reference);
  }
});

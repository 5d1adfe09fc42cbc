/** Questions that a node takes at its listener for nodes. */
import { test } from 'tap';
import { startExplained } from '../support/explained.ts';

const WRONG: Readonly<Record<string, object>> = {
  'another method': { method: 'POST' },
  'another scheme': { scheme: 'ftp' },
  'no authority': { authority: 1 },
  'no target': { target: null },
  'fields that are no list': { headers: 'Accept: a' },
  'a field without a value': { headers: ['Accept'] },
  'a field that ends its line': { headers: ['Accept', 'a\r\nX: y'] },
  'a name that is none': { headers: ['a b', 'c'] },
  'an address that is no text': { address: 7 },
  'no word about fetching': { fetch: 'yes' },
};

for (const [what, part] of Object.entries(WRONG)) {
  test(`a question is refused: ${what}`, async (t) => {
    const { explain } = await startExplained(t, {});
    await t.rejects(explain(part), /it answered 400/);
    t.equal((await explain({})).site, 'site', 'and the next one is answered');
  });
}

test('what a visitor may not send is refused in the explanation, not as a question', async (t) => {
  const { explain } = await startExplained(t, {});
  for (const target of ['', 'page', '/a b', '/\u0000', '*']) {
    const { refused, lookup } = await explain({ target });
    t.ok(refused !== null && refused.status >= 400 && refused.meaning.length > 10, JSON.stringify(target));
    t.equal(lookup, null);
  }
});

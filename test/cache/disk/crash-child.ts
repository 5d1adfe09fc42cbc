/** Process that stores, replaces and removes for as long as it lives, and says what has been handed to the system. */
import { contentOf, openStore } from './stores.ts';

const [path = '', first = '0'] = process.argv.slice(2);
const { store } = await openStore(path, { segments: 6 });
let version = Number(first);
for (;;) {
  const done: [key: string, version: number][] = [];
  for (let i = 0; i < 20; i++) {
    const key = `k${(version * 7) % 50}`;
    version++;
    if (version % 9 === 0) {
      store.remove(key);
      done.push([key, 0]);
    } else if (store.append(contentOf(key, version, (version * 131) % 6_000)) === undefined) {
      done.push([key, version]);
    }
  }
  process.stdout.write(`${JSON.stringify({ doing: done })}\n`);
  await store.flush();
  process.stdout.write(`${JSON.stringify({ version, done })}\n`);
}

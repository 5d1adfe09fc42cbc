import { join } from 'node:path';
import { openDataFolder } from '../../../control/data-folder.ts';
import { openEmbeddedStore } from '../../../control/store/embedded-store.ts';
import { type OpenedStore, storeContract } from '../store-contract.ts';

storeContract('embedded', async (t, now) => {
  const folder = openDataFolder(join(t.testdir({}), 'eu.yaml'), { data: 'data' });
  const open = async (): Promise<OpenedStore> => {
    const store = openEmbeddedStore(folder, { now, defer: setImmediate });
    t.teardown(() => store.close().catch(() => undefined)); // it may have been closed
    return {
      store,
      async again() {
        await store.close();
        return open();
      },
    };
  };
  return open();
});

import fc from 'fast-check';
import { test } from 'tap';
import { type ComponentEvents, Components, CurrentConfig, type Started } from '../../lib/components.ts';

interface Part {
  readonly name: string;
  update(config: number): void;
  close(): Promise<void>;
}

/** Records what happens to parts, in order. */
function recorder(failing?: string) {
  const log: string[] = [];
  const open = async (name: string): Promise<Part> => {
    if (name === failing) throw new Error(`no ${name}`);
    log.push(`+${name}`);
    return {
      name,
      update: (config) => void log.push(`${name}=${config}`),
      close: async () => {
        await undefined;
        log.push(`-${name}`);
      },
    };
  };
  return { log, open };
}

const listeners = { update: (part: Part, config: number) => part.update(config), close: (part: Part) => part.close() };
const shape = fc.record({ parts: fc.nat(6), groups: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }) });

async function run(
  record: ReturnType<typeof recorder>,
  { parts, groups }: { parts: number; groups: readonly number[] },
) {
  const components = new Components<number>();
  for (let i = 0; i < parts; i++) await components.start(`part${i}`, () => record.open(`part${i}`));
  for (const [g, count] of groups.entries()) {
    const names = Array.from({ length: count }, (_, i) => `listener${g}.${i}`);
    await components.listen(Object.fromEntries(names.map((name) => [name, () => record.open(name)])), listeners);
  }
  return components;
}

function namesOf({ parts, groups }: { parts: number; groups: readonly number[] }): string[] {
  return [
    ...Array.from({ length: parts }, (_, i) => `part${i}`),
    ...groups.flatMap((count, g) => Array.from({ length: count }, (_, i) => `listener${g}.${i}`)),
  ];
}

test('components start in order, follow the config in that order and close in reverse', async (t) => {
  await fc.assert(
    fc.asyncProperty(shape, async (given) => {
      const names = namesOf(given);
      const record = recorder();
      const components = await run(record, given);
      components.update(7);
      t.strictSame(record.log, [...names.map((name) => `+${name}`), ...names.map((name) => `${name}=7`)]);
      record.log.length = 0;
      await Promise.all([components.close(), components.close()]);
      t.strictSame(record.log.toSorted(), names.map((name) => `-${name}`).toSorted(), 'each is closed once');
      const parts = record.log.filter((line) => line.startsWith('-part'));
      t.strictSame(record.log.slice(record.log.length - parts.length), parts, 'listeners before all other parts');
      t.strictSame(parts, parts.toSorted().toReversed(), 'parts in reverse');
    }),
  );
});

test('if one fails to start, all before it are closed and nothing after it starts', async (t) => {
  await fc.assert(
    fc.asyncProperty(shape, fc.nat(), async (given, at) => {
      const names = namesOf(given);
      fc.pre(names.length > 0);
      const failing = names[at % names.length] as string;
      const record = recorder(failing);
      await t.rejects(run(record, given), { message: `no ${failing}` });
      const before = names.slice(0, names.indexOf(failing));
      t.strictSame(
        record.log.slice(0, before.length),
        before.map((name) => `+${name}`),
      );
      t.strictSame(record.log.slice(before.length).toSorted(), before.map((name) => `-${name}`).toSorted());
    }),
  );
});

test('no component starts once a listener is open', async (t) => {
  const components = new Components<number>();
  const { open } = recorder();
  await components.listen({ one: () => open('one') }, listeners);
  await t.rejects(
    components.start('late', () => open('late')),
    { message: 'late starts after listeners were opened' },
  );
});

test('a component that fails to close does not keep the others open', async (t) => {
  const { log, open } = recorder();
  const components = new Components<number>();
  await components.start('first', () => open('first'));
  await components.start('broken', () => ({ close: () => Promise.reject(new Error('stuck')) }));
  await t.rejects(components.close(), { message: 'stuck' });
  t.strictSame(log, ['+first', '-first']);
});

test('all components drain before the first listener closes', async (t) => {
  const log: string[] = [];
  const components = new Components<number>();
  await components.start('calls', () => new AbortController(), {
    drain: (part) => {
      part.abort();
      log.push('drain');
    },
    close: () => void log.push('close calls'),
  });
  await components.listen(
    { one: async () => ({ close: () => void log.push('close listener') }) },
    {
      close: (part: { close(): void }) => part.close(),
    },
  );
  await components.close();
  t.strictSame(log, ['drain', 'close listener', 'close calls']);
});

test('the current config is that of the last update', async (t) => {
  const events: string[] = [];
  const recordAs = (what: string) => (name: string) => void events.push(`${what} ${name}`);
  const hooks: ComponentEvents = {
    starting: recordAs('start'),
    updated: recordAs('update'),
    closed: recordAs('close'),
  };
  const components = new Components<string>(hooks);
  const config = await components.start('config', () => new CurrentConfig('first'));
  components.update('second');
  t.equal(config.value, 'second');
  await components.close();
  t.strictSame(events, ['start config', 'update config', 'close config']);
});

test('only a list of components can issue the evidence that a listener requires', async (t) => {
  const listen = async (_started: Started): Promise<Part> => recorder().open('listener');
  // @ts-expect-error without `Started` it does not compile
  const opened = listen();
  await (await opened).close();
  const components = new Components<number>();
  // @ts-expect-error a part that can be updated and closed says how
  await components.start('part', () => ({ reload: () => undefined, close: (_when: number) => undefined }));
  t.pass();
});

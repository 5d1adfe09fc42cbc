/**
 * Command blocks of the documentation, held against the plan: each is run, or not run for a reason that is told.
 * @module
 */
import { type Block, documentedBlocks } from '../blocks.ts';
import { isShell, scriptOf } from '../commands.ts';
import { PLAN, type Planned, type Run } from './plan.ts';
import type { Stage } from './stages.ts';

/** A block and its row. */
export interface Pair {
  readonly block: Block;
  /** The block behind it, which may show its output. */
  readonly next: Block | undefined;
  readonly row: Planned;
}

/** Blocks that a reader pastes: those for shells, and programs of JavaScript that begin with what they need. */
export function commandBlocks(): { block: Block; next: Block | undefined }[] {
  const blocks = documentedBlocks();
  return blocks.flatMap((block, index) => {
    const next = blocks[index + 1];
    const isCommand = isShell(block) || (block.language === 'js' && /\brequire\(/.test(block.text));
    return isCommand ? [{ block, next: next?.file === block.file ? next : undefined }] : [];
  });
}

/** @returns The blocks with their rows, in the order of the plan, and what is wrong with the plan. */
export function planned(): { readonly pairs: readonly Pair[]; readonly problems: readonly string[] } {
  const left = new Set(commandBlocks());
  const pairs: Pair[] = [];
  const problems: string[] = [];
  for (const row of PLAN) {
    const found = [...left].find(({ block }) => block.file === row.file && block.text.startsWith(row.begins));
    if (found === undefined) {
      problems.push(`${row.file} has no further block that begins with ${row.begins}`);
      continue;
    }
    left.delete(found);
    for (const [text] of 'replace' in row ? (row.replace ?? []) : []) {
      if (!found.block.text.includes(text)) problems.push(`${placeOf(found.block)} does not have ${text}`);
    }
    pairs.push({ ...found, row });
  }
  for (const { block } of left) problems.push(`${placeOf(block)} is neither run nor named with a reason`);
  return { pairs, problems };
}

export function placeOf({ file, line }: Block): string {
  return `${file}:${line}`;
}

/** Runs a block. @returns What is wrong with what it prints; absent: nothing. @throws {CommandError} */
export async function play({ block, next }: Pair, row: Run, stage: Stage): Promise<string | undefined> {
  let text = block.language === 'js' ? nodeScript(block.text) : scriptOf(block);
  for (const [from, to] of row.replace ?? []) text = text.replace(from, () => to);
  const script = stage.moved(`${row.before ?? ':'}\n${text}`);
  const output = stage.movedBack(
    row.lasts === undefined ? await stage.shell.run(script) : await both(script, row, stage),
  );
  const missing = row.prints.find((wanted) => !wanted.test(output));
  if (missing !== undefined) return `it does not print ${missing}, but:\n${output}`;
  if (row.isShown !== true) return undefined;
  const shown = /^\$ /m.test(block.text) ? block.text.replaceAll(/^\$ .*\n/gm, '') : (next?.text ?? '');
  return shapeOf(output) === shapeOf(shown) ? undefined : `the page shows another output than:\n${output}`;
}

async function both(script: string, { lasts, beside, prints }: Run, stage: Stage): Promise<string> {
  const lasting = await stage.shell.start(script, lasts as RegExp);
  try {
    const printed = beside === undefined ? '' : await stage.shell.run(stage.moved(beside));
    const all = (): string => `${printed}\n${lasting.output()}`;
    await lasting.until(() => prints.every((wanted) => wanted.test(stage.movedBack(all()))));
    await lasting.end();
    return all();
  } finally {
    await lasting.end();
  }
}

function nodeScript(text: string): string {
  return `node --input-type=module <<'END'\nimport { createRequire } from 'node:module';
const require = createRequire(process.cwd() + '/');\n${text}\nEND`;
}

/** Output without what differs each time: ids. */
function shapeOf(text: string): string {
  return text.trim().replaceAll(/\b[0-9a-f]{32}\b/g, 'ID');
}

/**
 * The access log that the config asks for.
 * @module
 */
import { siblingPath } from '../config/path.ts';
import type { RegionConfig } from '../config/schema.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import type { NodeCore } from '../tier/node-core.ts';

/** Opens it, or opens it anew: after a reload it goes where the new config says, in a file of that name. */
export function useAccessLog(core: NodeCore, before: RegionConfig | undefined, region: RegionConfig): void {
  const file = fileOf(region);
  if (before !== undefined && fileOf(before) === file) {
    core.accessLog?.reopen();
    return;
  }
  void core.accessLog?.close(); // never rejects; what waits is written
  const onProblem = (detail: string): void => core.log.warn({ detail, file }, 'access log');
  core.accessLog = file === undefined ? undefined : new AccessLog({ file, onProblem });
}

function fileOf({ file, access_log: name }: RegionConfig): string | undefined {
  return name === undefined || name === '-' ? name : siblingPath(file, name);
}

/** Metrics of a server in one round, and their formats. @module */

/** Name → number of one round. A name that a scenario cannot measure is absent. */
export type Measures = Readonly<Partial<Record<Metric, number>>>;

export type Metric = keyof typeof METRICS;

interface Display {
  readonly heading: string;
  readonly digits: number;
  /** Direction in which a ratio is better. */
  readonly better: 'less' | 'more' | 'neither';
}

export const METRICS = {
  cpuMicros: { heading: 'µs CPU/request', digits: 1, better: 'less' },
  cpuMicrosPerMegabyte: { heading: 'µs CPU/MB', digits: 0, better: 'less' },
  gigabytesPerSecond: { heading: 'GB/s', digits: 2, better: 'more' },
  bytesPerConnection: { heading: 'bytes/connection', digits: 0, better: 'less' },
  connections: { heading: 'connections', digits: 0, better: 'neither' },
  requestsPerSecond: { heading: 'req/s', digits: 0, better: 'more' },
  p50Millis: { heading: 'p50 ms', digits: 2, better: 'less' },
  p99Millis: { heading: 'p99 ms', digits: 2, better: 'less' },
  p999Millis: { heading: 'p99.9 ms', digits: 2, better: 'less' },
  p99SameRateMillis: { heading: 'p99 ms, same rate', digits: 2, better: 'less' },
  hitPercent: { heading: 'hits %', digits: 1, better: 'more' },
  grownMebibytes: { heading: 'grew by MiB', digits: 1, better: 'less' },
  heldPercent: { heading: 'held %', digits: 1, better: 'neither' },
  othersPercent: { heading: 'others %', digits: 1, better: 'neither' },
  askedCpuMicros: { heading: 'of it asked', digits: 1, better: 'less' },
  ownerCpuMicros: { heading: 'of it owner', digits: 1, better: 'less' },
  bytesPerObject: { heading: 'bytes/object', digits: 0, better: 'less' },
  overheadBytes: { heading: 'overhead', digits: 0, better: 'less' },
  heapOverheadBytes: { heading: 'live', digits: 0, better: 'less' },
  objects: { heading: 'objects', digits: 0, better: 'neither' },
  stallMillis: { heading: 'max stall ms', digits: 1, better: 'less' },
  stallOwnMillis: { heading: 'its CPU ms', digits: 1, better: 'less' },
  stallP99Millis: { heading: 'p99 stall ms', digits: 1, better: 'less' },
} as const satisfies Record<string, Display>;

/** @returns The number as tables show it. */
export function show(metric: Metric, value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-';
  const { digits } = METRICS[metric];
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

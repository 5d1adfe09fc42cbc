/**
 * `seawall where`: which region answers a visitor, why, and what comes next.
 * @module
 */
import { checkRegions } from '../config/check.ts';
import { ConfigError, quote } from '../config/problem.ts';
import type { RegionConfig } from '../config/schema.ts';
import type { ProblemDocument } from '../control/errors.ts';
import { networkOf } from '../geo/network.ts';
import { openLocator } from '../geo/open-locator.ts';
import { createSteering } from '../geo/steer.ts';
import { type WhereAnswer, whereAnswer } from '../geo/where.ts';
import { parseAddress } from '../lib/address.ts';
import { LONG_AGO } from '../lib/clock.ts';
import { columns, defineCommand } from './command.ts';
import { controlUrl } from './control-url.ts';
import { Failure, UsageError } from './failure.ts';
import { print } from './output.ts';

const TIMEOUT_MS = 10_000;

export const where = defineCommand({
  name: 'where',
  summary: 'Which region answers an address, why, and what comes next.',
  about: `
With region files it says what they amount to while all of their edges are up;
--from says whose databases count if not those of the first one. Without files it
asks the control node, which knows how the regions are at the moment.`,
  operands: 'ADDRESS [FILE...]',
  options: {
    from: {
      type: 'text',
      value: 'REGION',
      help: 'Region whose databases are asked. By default that of the first file.',
    },
    control: {
      type: 'text',
      value: 'URL',
      help: 'The control node, if no files are named. By default $SEAWALL_CONTROL, else http://127.0.0.1:8900.',
    },
    json: { type: 'flag', help: 'Print the answer as JSON.' },
  },
  examples: ['8.8.8.8', '2a01:4f8::1 config/regions/eu.yaml config/regions/us.yaml --json'],

  async run({ from, control, json }, [address, ...files]) {
    if (address === undefined) throw new UsageError('no address is given', 'Write for example: where 8.8.8.8');
    if (parseAddress(address) === undefined) {
      throw new UsageError(`${quote(address)} is no IP address`, 'Names are not looked up; write an address.');
    }
    if (files.length > 0 && control !== undefined) {
      throw new UsageError('--control and files exclude each other', 'Ask the control node, or name files.');
    }
    const answer =
      files.length > 0
        ? await byFiles(address, files, from)
        : await byControl(address, controlUrl(control, '/v1/where'));
    print(json ? JSON.stringify(answer) : answerLines(answer).join('\n'));
    return 0;
  },
});

async function byFiles(address: string, files: readonly string[], from: string | undefined): Promise<WhereAnswer> {
  const { regions, problems } = checkRegions(files);
  if (problems.length > 0) throw new ConfigError(problems);
  const { file, geo } = asker(regions, from);
  const locator = await openLocator({ file, databases: geo.databases });
  try {
    const network = networkOf(regions);
    return whereAnswer(createSteering({ locator, network: () => network }).where(address, LONG_AGO), locator);
  } finally {
    locator.close();
  }
}

function asker(regions: readonly RegionConfig[], from: string | undefined): RegionConfig {
  const region = from === undefined ? regions[0] : regions.find((one) => one.region === from);
  if (region !== undefined) return region;
  const names = regions.map((one) => one.region).join(', ');
  throw new UsageError(`--from: there is no region ${quote(from ?? '')}`, `The regions are ${names}.`);
}

async function byControl(address: string, url: URL): Promise<WhereAnswer> {
  url.searchParams.set('address', address);
  let response: Response;
  try {
    response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const { message, cause } = error as Error;
    throw new Failure(
      `${url.origin} does not answer (${cause instanceof Error ? cause.message : message}); name region files to ask them`,
    );
  }
  const answer = (await response.json().catch(() => undefined)) as WhereAnswer | ProblemDocument | undefined;
  if (response.ok && answer !== undefined && 'order' in answer) return answer;
  const detail = answer !== undefined && 'title' in answer ? `: ${answer.title}` : '';
  throw new Failure(`${url.origin} answered ${response.status}${detail}`);
}

function answerLines({ address, place, kind, because, order, prefix, sources }: WhereAnswer): string[] {
  return [
    `${address}: ${place === null ? (kind === 'public' ? 'not known' : kind) : placeWords(place)}`,
    because,
    '',
    ...columns(order.map((region, index) => [`${index + 1}. ${region.region}`, regionWords(region)])),
    '',
    `This holds for all addresses that share the first ${prefix} bits.`,
    ...sources.map((source) => `Source: ${source}`),
  ];
}

function placeWords({
  city,
  subdivision,
  country,
  continent,
  coordinates,
  asn,
  asOrganization,
}: NonNullable<WhereAnswer['place']>): string {
  const names = [city, subdivision, country, continent].filter((name) => name !== undefined).join(', ');
  const at = coordinates === undefined ? '' : ` (${coordinates.join(', ')})`;
  const network = asn === undefined ? '' : `, AS${asn}${asOrganization === undefined ? '' : ` ${asOrganization}`}`;
  return `${names}${at}${network}`;
}

function regionWords(region: WhereAnswer['order'][number]): string {
  const { state, distance_km: km, weight, counts_as_km: counted, pin, is_default: isDefault } = region;
  return [
    state,
    km === null ? 'distance not known' : `${km} km`,
    ...(weight === 1 || counted === null ? [] : [`counts as ${counted} km (weight ${weight})`]),
    ...(pin === null ? [] : [`pinned by ${pin}`]),
    ...(isDefault ? ['default'] : []),
    `${region.edges_up} of ${region.edges} edges up`,
    ...(region.addresses.length === 0 ? [] : [region.addresses.join(' ')]),
  ].join(', ');
}

/**
 * Every metric of Seawall, by name. Metrics are made from this table only
 * (telemetry/instruments.ts), and docs/metrics.md is generated from it.
 * @module
 */

import { GENERATION_END_MEANINGS } from '../cache/large/generation.ts';
import { SHED_REASONS } from '../http/upstream/shedding.ts';
import { DURATION_SECONDS } from '../lib/traffic.ts';
import { LEFT_OUT_CAUSES } from './left-out-causes.ts';

export type MetricRole = 'edge' | 'shield' | 'control' | 'dns';

export interface MetricEntry {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Roles whose `/metrics` has it. */
  readonly roles: readonly MetricRole[];
  /** Labels with the meaning of their values; `node` and `role` are on every metric. */
  readonly labels: Readonly<Record<string, string>>;
  readonly help: string;
  /** Advice for operators: values that call for a look, and the first thing to look at. */
  readonly watch: string;
  /** Value of an edge of several workers, from the values of its workers; the sum by default. */
  readonly ofWorkers?: 'sum' | 'min' | 'max';
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

const NODES = ['edge', 'shield'] as const;

const LISTENER = '`public` for visitors, `tier` for other nodes';
const SITE = 'name of the site; empty where none was chosen';
const REGION = 'name of the region';
const TARGET = 'name of the node, or URL of the origin server';
const MEMBER = 'name of the edge, worker or shield';

export const METRICS = {
  seawall_requests_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      listener: LISTENER,
      site: SITE,
      result: 'a [result](cache-status.md#result-how-a-request-ended) or an [error code](errors.md)',
      status: 'class of the status: `1xx` to `5xx`',
    },
    help: 'Requests by listener, site, result and class of the status.',
    watch:
      'The share of `status="5xx"` rises, or the share of hits falls: the label `result` names the cause. ' +
      '[Troubleshooting](troubleshooting.md) starts from it.',
  },
  seawall_response_body_bytes_total: {
    type: 'counter',
    roles: NODES,
    labels: { listener: LISTENER, site: SITE },
    help: 'Bytes of response bodies sent.',
    watch: 'The rate comes near the bandwidth of the machine.',
  },
  seawall_request_duration_seconds: {
    type: 'histogram',
    roles: NODES,
    labels: { listener: LISTENER },
    help: 'Time from the head of a request to the end of its response.',
    watch:
      'A high quantile rises while that of the origin does not: the process lacks CPU time, or visitors read slowly.',
    buckets: DURATION_SECONDS,
  },
  seawall_fills_total: {
    type: 'counter',
    roles: NODES,
    labels: {},
    help: 'Requests sent upstream.',
    watch: 'The rate rises faster than that of requests: fewer responses are stored, or purges are too broad.',
  },
  seawall_fills_in_flight: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Keys that are being fetched.',
    watch: 'It grows and does not fall: upstream answers slowly.',
  },
  seawall_requests_collapsed_total: {
    type: 'counter',
    roles: NODES,
    labels: {},
    help: 'Requests answered with the fill of another request.',
    watch: 'Nothing to worry about: each of them spared the origin a request.',
  },
  seawall_responses_stored_total: {
    type: 'counter',
    roles: NODES,
    labels: {},
    help: 'Responses stored, or refreshed by a 304.',
    watch: 'It stands still while `seawall_fills_total` grows: see `seawall_store_refusals_total`.',
  },
  seawall_store_refusals_total: {
    type: 'counter',
    roles: NODES,
    labels: { reason: 'a [refusal](cache-status.md#detail-why-it-was-not-stored)' },
    help: 'Responses not stored, by reason.',
    watch: 'A reason that should not occur for your sites: its row says what to change.',
  },
  seawall_encodings_total: {
    type: 'counter',
    roles: ['edge'],
    labels: {
      coding: '`br`, `zstd` or `gzip`',
      level: '`fast` for the first encoding, `high` for the one that takes its place',
      outcome:
        '`made`; `useless`: no smaller than the body; `gone`: the response was not stored any more, or there was no room; `failed`',
    },
    help: 'Encodings of stored responses ([compression](compression.md)).',
    watch: 'The share of `outcome="gone"` is high: responses live too shortly, or `memory` is too small for encodings.',
  },
  seawall_encodings_refused_total: {
    type: 'counter',
    roles: ['edge'],
    labels: {},
    help: 'Encodings that were not made as too many waited; they are asked for again by later hits.',
    watch: 'It rises for minutes: the machine has no time left to encode.',
  },
  seawall_chunks_read_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      source:
        '`memory`, `disk`, `upstream` (this request asked for it) or `collapsed` (another one had, and it was on its way)',
    },
    help: 'Chunks of [large objects](large-objects.md) that answers were read from.',
    watch:
      'The share of `upstream` rises while visitors see the same objects: the memory is too small for what they see.',
  },
  seawall_generations_ended_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      reason: Object.entries(GENERATION_END_MEANINGS)
        .map(([reason, meaning]) => `\`${reason}\`: ${meaning}`)
        .join('; '),
    },
    help: 'Large objects of which no more chunks are fetched, as the origin no longer has them as they were.',
    watch:
      '`changed` rises without a change of the files: servers of the origin give one file different ETags. ' +
      '`no-ranges`: the origin says `Accept-Ranges: bytes` and does not answer them.',
  },
  seawall_upstream_errors_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      code: 'an [error code](errors.md#responses-of-nodes)',
      cause: 'a [cause](errors.md#causes-of-upstream-errors)',
    },
    help: 'Fills that failed, by error code and cause.',
    watch: 'Any rate that stays above zero: the cause says what failed between this node and the next.',
  },
  seawall_target_up: {
    type: 'gauge',
    roles: NODES,
    labels: { target: TARGET },
    help: '1: the target is asked; 0: it is [left out](health.md), or asked only when no other is left.',
    watch: '0 for longer than a restart takes: the log says when it was left out and why.',
    ofWorkers: 'min',
  },
  seawall_targets_left_out_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      target: TARGET,
      cause: Object.entries(LEFT_OUT_CAUSES)
        .map(([cause, meaning]) => `\`${cause}\`: ${meaning}`)
        .join('; '),
    },
    help: 'Times that a target was [left out](health.md).',
    watch: 'One target comes and goes: it, or the way to it, is unwell.',
  },
  seawall_hedges_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      result:
        '`won`: the second target answered first; `lost`: the first one did after all; `refused`: the budget of 2 % of the requests was spent',
    },
    help: 'Requests that were sent to a second target, as the first took longer than nearly always.',
    watch: '`refused` rises: a server is slow, and nothing has left it out; give it a [check](health.md).',
  },
  seawall_retries_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      cause:
        '`failed`: no head came; `silent`: the target was left out; `late`: its heartbeat took longer than they do, and another target was asked as well; `status`: a status of `failover_on`; `body`: the rest of a body that broke off',
    },
    help: 'Requests that were sent to another target.',
    watch: 'It rises: `seawall_target_up` and the log say which target fails.',
  },
  seawall_target_in_flight: {
    type: 'gauge',
    roles: NODES,
    labels: { target: 'URL of the origin server' },
    help: 'Requests that are under way to the server.',
    watch: 'It is as high as `seawall_target_concurrency_limit`: more requests [wait](overload.md).',
  },
  seawall_target_waiting: {
    type: 'gauge',
    roles: NODES,
    labels: { target: 'URL of the origin server' },
    help: 'Requests that wait for a connection to the server.',
    watch: 'It stays above zero: more requests come than the server can take. See [overload](overload.md).',
  },
  seawall_target_concurrency_limit: {
    type: 'gauge',
    roles: NODES,
    labels: { target: 'URL of the origin server' },
    help: 'Requests that may be under way to the server: `max_connections`, or fewer while it cannot take as many.',
    watch: 'It is below `max_connections`: the server answers fewer requests when it gets more of them at a time.',
  },
  seawall_shed_requests_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      target: 'URL of the origin server',
      reason: Object.entries(SHED_REASONS)
        .map(([reason, meaning]) => `\`${reason}\`: ${meaning}`)
        .join('; '),
      priority: 'a [priority](overload.md#priorities): `navigation`, `normal` or `background`',
    },
    help: 'Requests that were refused with 503, as they would have waited for the server for too long.',
    watch: 'Any rate that stays above zero: the server is overloaded, or hangs. See [overload](overload.md).',
  },
  seawall_connections_refused_total: {
    type: 'counter',
    roles: ['edge'],
    labels: { reason: 'a [reason](errors.md#refused-connections)' },
    help: 'Connections of visitors that were closed without a response, by reason.',
    watch:
      '`too_many_connections` or `http2_*` rise: one visitor, or an attack. `tls_*`: a certificate is missing or wrong.',
  },
  seawall_rate_limited_requests_total: {
    type: 'counter',
    roles: ['edge'],
    labels: {
      site: SITE,
      limit: 'name of the limit in `rate_limits`',
      action: '`refuse`: answered with 429; `log`: only counted',
    },
    help: 'Requests beyond a [rate limit](limits.md#rate-limits) of the site.',
    watch: 'It rises without an attack: the limit is too low for how visitors use the site.',
  },
  seawall_node_refusals_total: {
    type: 'counter',
    roles: ['edge', 'shield', 'control', 'dns'],
    labels: {
      reason: 'a [reason](errors.md#refused-nodes)',
      direction: '`incoming`: the other side has connected to this node; `outgoing`: this node to it',
    },
    help: 'Connections and calls of other nodes that were refused for their certificate.',
    watch:
      'Any rate that stays above zero: the log names the other side. [Trust](trust.md) says what each reason means.',
  },
  seawall_node_certificate_expiry_timestamp_seconds: {
    type: 'gauge',
    roles: ['edge', 'shield', 'control', 'dns'],
    labels: {},
    help: 'Time of the wall clock at which the certificate of the node itself expires, in seconds since 1970.',
    watch: 'Less than two weeks from now: renew it, the other nodes refuse one that has expired.',
    ofWorkers: 'min',
  },
  seawall_cache_bytes: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Memory in use for responses.',
    watch: 'At the limit it is normal: old responses are evicted.',
  },
  seawall_cache_limit_bytes: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Memory allowed for responses.',
    watch:
      'It is a quarter of `memory` in the config: the rest goes to the program and its threads. Give the node more (docs/sizing.md).',
  },
  seawall_cache_keys: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Keys with a stored response.',
    watch: 'It falls to zero: something purges everything.',
  },
  seawall_disk_up: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: '1 while the disk cache is used, 0 while it is left out; absent without `disk`.',
    watch: '0: the log and `/healthz` say what failed. The node serves from memory, and tries the disk again.',
    ofWorkers: 'min',
  },
  seawall_disk_objects: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Keys with a response on disk.',
    watch: 'It falls to zero: the disk was left out, or emptied.',
  },
  seawall_disk_limit_bytes: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Space of the disk cache.',
    watch: 'Nothing to worry about: it is `disk.size` of the config.',
  },
  seawall_disk_index_bytes: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Memory of the index of the disk cache.',
    watch:
      'It reaches an eighth of `seawall_cache_limit_bytes`: `seawall_disk_refusals_total{reason="index-full"}` rises then.',
  },
  seawall_disk_reads_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      result:
        '`hit`; `lost`: it did not check out, or was replaced meanwhile; `busy`: too many reads wait, or one took a ' +
        'second; `no-room`: it did not fit into memory',
    },
    help: 'Reads of what the index of the disk cache has, by result.',
    watch: '`busy` rises: the disk is too slow for what is asked of it.',
  },
  seawall_disk_written_bytes_total: {
    type: 'counter',
    roles: NODES,
    labels: { kind: '`stored`: from memory; `kept`: moved, as it was read since it was written' },
    help: 'Bytes written to the disk cache.',
    watch: 'The rate wears out the disk: `disk.write_rate` bounds what is stored.',
  },
  seawall_disk_refusals_total: {
    type: 'counter',
    roles: NODES,
    labels: {
      reason:
        '`budget`: beyond `disk.write_rate`; `busy`: the disk has not written what was stored before; `too-large`; ' +
        '`index-full`; `loading`: the process has just started; `failed`: the disk is left out; `unreadable`',
    },
    help: 'Responses that were not stored on disk, by reason.',
    watch: '`budget` rises all the time: raise `disk.write_rate` if the disk bears it. `index-full`: raise `memory`.',
  },
  seawall_disk_corrupt_total: {
    type: 'counter',
    roles: NODES,
    labels: {},
    help: 'Records that did not check out, and were not used.',
    watch: 'Any increase long after a start: the disk or the file system returns wrong bytes.',
  },
  seawall_disk_failures_total: {
    type: 'counter',
    roles: NODES,
    labels: {},
    help: 'Times that the disk cache was left out.',
    watch: 'Any increase: the log says what failed.',
  },
  seawall_purges_applied: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Number of the newest purge applied.',
    watch: 'It is less than `seawall_journal_newest` of the control node for more than a few seconds.',
    ofWorkers: 'min',
  },
  seawall_ledger_selectors: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Selectors that the ledger remembers.',
    watch: 'It nears `control.max_records`: broader selectors (a tag, a prefix) take less room than many URLs.',
    ofWorkers: 'max',
  },
  seawall_ledger_bytes: {
    type: 'gauge',
    roles: NODES,
    labels: {},
    help: 'Memory of the ledger, approximately.',
    watch: 'It counts towards the memory of the process, not towards `memory`.',
  },
  seawall_build_info: {
    type: 'gauge',
    roles: ['edge', 'shield', 'control', 'dns'],
    labels: { version: 'version of Seawall', node_version: 'version of Node.js' },
    help: 'Always 1: its labels say what runs.',
    watch: 'Nodes have different values for long after an update: one was forgotten.',
    ofWorkers: 'max',
  },
  seawall_node_internals: {
    type: 'gauge',
    roles: ['edge', 'shield', 'control', 'dns'],
    labels: { feature: 'name of a property of Node.js that is not documented, as in the log' },
    help: '1 if this version of Node.js has the property, 0 if it lacks it and a fallback is in use.',
    watch: '0 after an update of Node.js: a warning in the log at the start says what the fallback costs.',
    ofWorkers: 'min',
  },
  seawall_certificate_expiry_timestamp_seconds: {
    type: 'gauge',
    roles: ['edge'],
    labels: { site: 'name of the site' },
    help: 'Time of the wall clock at which the certificate in use expires, in seconds since 1970.',
    watch: 'Less than two weeks from now: the renewal of the certificate does not work.',
    ofWorkers: 'min',
  },
  seawall_workers: {
    type: 'gauge',
    roles: ['edge'],
    labels: {},
    help: 'Threads of this edge that serve.',
    watch: 'Less than `workers`: some are being restarted. The log says why they ended.',
  },
  seawall_worker_restarts_total: {
    type: 'counter',
    roles: ['edge'],
    labels: {},
    help: 'Threads of this edge that ended and were replaced.',
    watch:
      'Any increase: an error that nothing caught, a heap that was full, or an event loop that stood still; the log says which.',
  },
  seawall_jobs_active: {
    type: 'gauge',
    roles: ['control'],
    labels: {},
    help: 'Jobs that have not ended.',
    watch: 'It stays above 0 while `seawall_job_steps_total` stands still: no node takes work.',
  },
  seawall_job_steps_total: {
    type: 'counter',
    roles: ['control'],
    labels: { end: '`done`, `lost` (its node did not renew its lease), `failed` (tried again) or `given_up`' },
    help: 'Steps of jobs by how they ended, as this control node has seen it.',
    watch: '`lost` rises: nodes end, or are cut off from the control node, while they work.',
  },
  seawall_job_urls_total: {
    type: 'counter',
    roles: ['edge'],
    labels: { outcome: '`stored`, `fresh`, `not_stored` or `failed`' },
    help: 'URLs of jobs that this node has asked for, by what came of them.',
    watch: 'The share of `failed`: the dead-letter list of the job says which, and why.',
  },
  seawall_purges_total: {
    type: 'counter',
    roles: ['control'],
    labels: { dialect: '`seawall`, `cloudflare` or `fastly`' },
    help: 'Purges appended to the journal, by dialect.',
    watch: 'A client that purges in a loop shows here.',
  },
  seawall_purge_selectors_total: {
    type: 'counter',
    roles: ['control'],
    labels: { kind: '`url`, `tag`, `prefix`, `host`, `site` or `everything`' },
    help: 'Selectors appended to the journal, by kind.',
    watch: '`everything` rises more than people do by hand: a tool purges more than it has to.',
  },
  seawall_purge_refusals_total: {
    type: 'counter',
    roles: ['control'],
    labels: { code: 'a [code of the control API](errors.md#responses-of-the-control-api)', dialect: 'as above' },
    help: 'Calls that were refused, by code.',
    watch: '`unauthorised`: a wrong or revoked token. `rate_limited`: raise `rate_limits`, or batch the selectors.',
  },
  seawall_purge_applied_seconds: {
    type: 'histogram',
    roles: ['control'],
    labels: {},
    help: 'Time from the call until every node had applied the purge.',
    watch: 'The 99th percentile is above 1 s: a node is cut off (`seawall_node_connected`) or overloaded.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  seawall_journal_newest: {
    type: 'gauge',
    roles: ['control'],
    labels: {},
    help: 'Highest number in the journal.',
    watch: 'It falls: the journal was replaced by an older copy.',
  },
  seawall_journal_floor: {
    type: 'gauge',
    roles: ['control'],
    labels: {},
    help: 'Highest number that the journal no longer holds.',
    watch: 'A node that was away for longer revalidates everything that it has stored.',
  },
  seawall_store_bytes: {
    type: 'gauge',
    roles: ['control'],
    labels: { store: 'HOST:PORT of the member of etcd, or name of the file' },
    help: 'Size of the store of the control nodes: of each member of etcd, or of each file.',
    watch: 'With etcd: 80 % of `seawall_store_quota_bytes`. At the quota etcd takes no more writes.',
  },
  seawall_store_quota_bytes: {
    type: 'gauge',
    roles: ['control'],
    labels: {},
    help: 'Quota of etcd as `control.journal.etcd.quota` says; 0 without etcd.',
    watch: 'It is not what the members of etcd were started with (`--quota-backend-bytes`).',
  },
  seawall_store_up: {
    type: 'gauge',
    roles: ['control'],
    labels: { store: 'HOST:PORT of the member of etcd, or name of the file' },
    help: '1 if the member of etcd answers, or the file is there, else 0.',
    watch: '0 of one member: a further one makes three members refuse purges.',
  },
  seawall_journal_writable: {
    type: 'gauge',
    roles: ['control'],
    labels: {},
    help: '1 if the last write to the journal succeeded, else 0.',
    watch: '0: purges are refused. The disk is full or broken; the log has the error.',
  },
  seawall_audit_log_signed: {
    type: 'gauge',
    roles: ['control'],
    labels: {},
    help: '1 if the newest entries of the audit log are signed, 0 if the log does not fit its newest checkpoint.',
    watch: '0: the log was changed. `seawall audit verify` names the first entry that is not as it was.',
  },
  seawall_node_connected: {
    type: 'gauge',
    roles: ['control'],
    labels: { region: REGION, member: MEMBER, member_role: '`edge` or `shield`' },
    help: '1 if the node follows the journal, else 0.',
    watch: '0 for longer than `purges.lease`: the node revalidates before it serves.',
  },
  seawall_node_applied: {
    type: 'gauge',
    roles: ['control'],
    labels: { region: REGION, member: MEMBER, member_role: '`edge` or `shield`' },
    help: 'Number of the newest purge that the node has applied.',
    watch: 'See `seawall_node_lag_records`.',
  },
  seawall_node_lag_records: {
    type: 'gauge',
    roles: ['control'],
    labels: { region: REGION, member: MEMBER, member_role: '`edge` or `shield`' },
    help: 'Records of the journal that the node has not applied yet.',
    watch: 'It grows: the node is cut off or cannot keep up.',
  },
  seawall_region_state: {
    type: 'gauge',
    roles: ['control'],
    labels: { region: REGION, state: 'a state of [regions](geo.md)' },
    help: '1 for the state that the region is in, 0 for the others.',
    watch: '`down` is 1 although no operator drained it.',
  },
  seawall_region_edges_up: {
    type: 'gauge',
    roles: ['control'],
    labels: { region: REGION },
    help: 'Edges of the region that are up.',
    watch: 'Less than the number of edges in the config.',
  },
  seawall_region_shed_ratio: {
    type: 'gauge',
    roles: ['control'],
    labels: { region: REGION },
    help: 'Share of the region’s visitors that go elsewhere because it is overloaded.',
    watch: 'Above 0: the region needs more edges.',
  },
  seawall_dns_queries_total: {
    type: 'counter',
    roles: ['dns'],
    labels: { transport: '`udp` or `tcp`' },
    help: 'Queries by transport.',
    watch: 'A jump: an attack. See `seawall_dns_dropped_total`.',
  },
  seawall_dns_answers_total: {
    type: 'counter',
    roles: ['dns'],
    labels: { rcode: 'name of the response code (RFC 1035, 4.1.1)' },
    help: 'Answers by response code.',
    watch: '`REFUSED`: names that are not of your zones. `SERVFAIL`: the log has the error.',
  },
  seawall_dns_truncated_total: {
    type: 'counter',
    roles: ['dns'],
    labels: { reason: '`size`: larger than the requester takes; `limit`: beyond the rate limit' },
    help: 'Answers without content: too large, or beyond the rate limit.',
    watch: '`limit` rises with ordinary resolvers: raise the rate limit.',
  },
  seawall_dns_dropped_total: {
    type: 'counter',
    roles: ['dns'],
    labels: { reason: '`unreadable`, `limit` (beyond the rate limit), or `failed` (could not be answered or sent)' },
    help: 'Messages without an answer, by reason.',
    watch: '`failed`: any; the log has the error.',
  },
  seawall_dns_cookies_total: {
    type: 'counter',
    roles: ['dns'],
    labels: { state: '`valid`, `new`, or `bad` (RFC 7873)' },
    help: 'Cookies in queries; bad: answers that asked the client to retry with a cookie.',
    watch: '`bad` rises: forged addresses, or servers of one name with different secrets.',
  },
  seawall_dns_client_subnet_queries_total: {
    type: 'counter',
    roles: ['dns'],
    labels: {},
    help: 'Queries with the network of the visitor (RFC 7871).',
    watch: 'Nothing to worry about.',
  },
  seawall_dns_steered_answers_total: {
    type: 'counter',
    roles: ['dns'],
    labels: { region: REGION },
    help: 'Answers to steered names, by region.',
    watch: 'A region has none: it is not healthy, or no visitor is nearest to it.',
  },
  seawall_dns_no_region_healthy_total: {
    type: 'counter',
    roles: ['dns'],
    labels: {},
    help: 'Answers with the default region because no region was healthy.',
    watch: 'Any: no region takes visitors, as far as this server knows.',
  },
  seawall_dns_any_region_healthy: {
    type: 'gauge',
    roles: ['dns'],
    labels: {},
    help: '1 if there is a healthy region to send visitors to, else 0.',
    watch: '0.',
  },
  seawall_dns_connections: {
    type: 'gauge',
    roles: ['dns'],
    labels: {},
    help: 'Open TCP connections.',
    watch: 'It stays at `dns.tcp.max_connections`.',
  },
  seawall_dns_connections_refused_total: {
    type: 'counter',
    roles: ['dns'],
    labels: {},
    help: 'TCP connections beyond the bounds.',
    watch: 'Any rate that stays above zero: raise `dns.tcp.max_connections`, or an attack.',
  },
} as const satisfies Readonly<Record<string, MetricEntry>>;

export type MetricName = keyof typeof METRICS;

export type MetricsOfType<Type extends MetricEntry['type']> = {
  [Name in MetricName]: (typeof METRICS)[Name]['type'] extends Type ? Name : never;
}[MetricName];

export type LabelOf<Name extends MetricName> = keyof (typeof METRICS)[Name]['labels'] & string;

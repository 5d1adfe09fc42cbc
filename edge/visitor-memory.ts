/**
 * Memory of an edge: its visitors' connections, and the header sections that they repeat. Both are worked out anew
 * after a reload.
 * @module
 */
import type { ServerExchange } from '../http/exchange.ts';
import type { Memory, Peer, RepeatedSection } from '../http/prepared-delivery.ts';
import { profileSection, type SectionProfile } from './section-profile.ts';
import { isProxy } from './senders.ts';
import { type EdgeContext, UNKNOWN_ADDRESS, visitorBlock } from './visitor.ts';

/** Kinds of connections, added up: the same header section has another profile on each. */
const ENCRYPTED = 1;
const PROXIED = 2;
const KINDS = 4;

/** Memory of a connection. */
interface ConnectionMemory extends Memory {
  readonly kind: number;
  /** The visitor that its requests count for, once one has; of a trusted proxy, each request has its own. */
  visitor: string | undefined;
}

/** Memory of a header section. */
interface SectionMemory extends Memory {
  /** Profile by kind of connection; `null`: none, it has to be read each time. */
  readonly profiles: (SectionProfile | null | undefined)[];
}

function memoryOf(edge: EdgeContext, peer: Peer): ConnectionMemory {
  const { memory } = peer;
  if (memory !== undefined && memory.of === edge) return memory as ConnectionMemory;
  const { isTls, remoteAddress = UNKNOWN_ADDRESS } = peer;
  const kind = (isTls ? ENCRYPTED : 0) + (isProxy(edge.region, remoteAddress) ? PROXIED : 0);
  const made: ConnectionMemory = { of: edge, kind, visitor: undefined };
  peer.memory = made;
  return made;
}

/** @returns The block of addresses that the request counts for. */
export function rememberedVisitor(edge: EdgeContext, exchange: ServerExchange): string {
  const memory = memoryOf(edge, exchange.peer);
  if ((memory.kind & PROXIED) !== 0) return visitorBlock(edge, exchange);
  memory.visitor ??= visitorBlock(edge, exchange);
  return memory.visitor;
}

/** @returns The profile of the header section on this connection; `null` where each request has to be read. */
export function rememberedProfile(edge: EdgeContext, peer: Peer, section: RepeatedSection): SectionProfile | null {
  const { kind } = memoryOf(edge, peer);
  let memory = section.memory as SectionMemory | undefined;
  if (memory === undefined || memory.of !== edge) {
    memory = { of: edge, profiles: new Array(KINDS).fill(undefined) };
    section.memory = memory;
  }
  const known = memory.profiles[kind];
  if (known !== undefined) return known;
  const { remoteAddress, isTls } = peer;
  const head = { method: 'GET', target: '/', headers: section.headers, remoteAddress, isTls };
  const profile = profileSection(edge, head) ?? null;
  memory.profiles[kind] = profile;
  return profile;
}

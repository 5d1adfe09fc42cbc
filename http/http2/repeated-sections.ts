/**
 * Header sections of HTTP/2 that requests repeat, but for their path: translated once, and recognised by the section of
 * the connection's last request, or by their text.
 * @module
 */
import { TwoGenerationCache } from '../../lib/two-generation-cache.ts';
import { HttpError } from '../errors.ts';
import type { RepeatedSection } from '../prepared-delivery.ts';
import type { Http2Peer } from './exchange.ts';
import { translateHead } from './head-translation.ts';
import type { Section } from './section.ts';

/** Longer sections are not remembered. */
const MAX_SECTION_CHARS = 4_096;

/**
 * Maximum size of each of two generations, in characters of sections; what is remembered of them takes a few times as
 * much.
 */
const GENERATION_CHARS = 256 * 1024;

export class RepeatedSections {
  /** By text; `null` for those that are read each time. */
  readonly #known = new TwoGenerationCache<string, RepeatedSection | null>({
    generationWeight: GENERATION_CHARS,
    weightOf: (text) => text.length,
  });

  /**
   * @param section - Of a request that is only a head.
   * @returns What it repeats; `null` for one that has to be read each time, or cannot be read.
   */
  of(peer: Http2Peer, section: Section): RepeatedSection | null {
    // A connection's requests differ in their path, and in little else: comparing is cheaper than looking up.
    const { last } = peer;
    if (last !== undefined && section.isLike(last.section)) return last.repeated;
    const repeated = this.#find(section);
    peer.last = { section, repeated };
    return repeated;
  }

  #find(section: Section): RepeatedSection | null {
    if (!section.mayRepeat) return null;
    if (section.charsBesidesTarget > MAX_SECTION_CHARS) return translated(section);
    const text = section.textBesidesTarget;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const repeated = translated(section);
    this.#known.set(text, repeated);
    return repeated;
  }
}

function translated(section: Section): RepeatedSection | null {
  try {
    return { headers: translateHead(section.raw, false).headers, memory: undefined };
  } catch (error) {
    if (error instanceof HttpError) return null; // to be answered with a page
    throw error;
  }
}

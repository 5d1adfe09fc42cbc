/**
 * Sets of rules that WordPress is tried with.
 * @module
 */
import { parse } from 'yaml';
import type { NetworkOptions } from '../support/network.ts';
import { recipeBlock } from './recipe.ts';

type SiteInput = Required<Pick<NonNullable<NetworkOptions['site']>, 'rules'>> & NonNullable<NetworkOptions['site']>;

export interface Rules {
  readonly title: string;
  readonly rules: SiteInput['rules'];
  readonly site: Omit<SiteInput, 'rules'>;
  readonly isRecipe: boolean;
  /** True if only cookies named by the rules make a request personal. */
  readonly namesCookies?: boolean;
}

/** A site file of the recipe, without what says where this site is. */
function recipe(index: number): Record<string, unknown> {
  const text = recipeBlock('yaml', index).replaceAll('10.0.0.9', '127.0.0.1');
  const { name, hosts, origin, tls, ...keys } = parse(text) as Record<string, unknown>;
  return keys;
}

const OVERRIDE = { request_headers: { allow: ['X-HTTP-Method-Override'] } };
const { rules: RECIPE_RULES, ...RECIPE_SITE } = { ...recipe(0), redirect: { https: true } } as unknown as SiteInput;
const { rules: MORE_HITS } = recipe(1) as unknown as Pick<SiteInput, 'rules'>;

/** The one rule of an owner who knows nothing of WordPress, and what the recipe says. */
export const TABLE: readonly Rules[] = [
  { title: 'one rule for everything', rules: [{ status: 200, ttl: '60s' }], site: OVERRIDE, isRecipe: false },
  { title: 'the recipe', rules: RECIPE_RULES, site: RECIPE_SITE, isRecipe: true },
  {
    title: 'the recipe with WordPress’ own cookies by name',
    rules: MORE_HITS,
    site: RECIPE_SITE,
    isRecipe: true,
    namesCookies: true,
  },
];

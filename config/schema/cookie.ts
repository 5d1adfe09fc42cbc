/**
 * Cookies as a config file names them.
 * @module
 */
import { z } from 'zod';

/** A token (RFC 6265, section 4.1.1) without stars, and perhaps one star at its end. */
const COOKIE_PATTERN = /^(?:[!#$%&'+.^_`|~0-9A-Za-z-]+\*?|\*)$/;

export const cookiePattern = z
  .string()
  .max(256)
  .regex(COOKIE_PATTERN)
  .meta({ title: 'a cookie name, perhaps with `*` at its end', examples: ['currency', 'wordpress_logged_in_*'] });

/**
 * Cookies that scripts of analytics, advertising and consent banners set and read in the
 * browser; no server of a site needs them to make a page. What servers are known to read,
 * such as the consent cookies of some WordPress plugins, is left out.
 */
export const SCRIPT_COOKIES: readonly string[] = [
  ...['_ga*', '_gid', '_gat*', '_gcl_*', '_dc_gtm_*', '__utm*'], // Google Analytics, Ads, Tag Manager
  ...['__gads', '__gpi', '__eoi', 'FCCDCF', 'FCNEC'], // Google AdSense and its consent banner
  ...['_fbp', '_fbc'], // Meta
  ...['_hj*'], // Hotjar
  ...['_pk_*', 'mtm_consent*', 'mtm_cookie_consent*'], // Matomo
  ...['_clck', '_clsk', '_uetsid*', '_uetvid*'], // Microsoft Clarity, Advertising
  ...['_ttp', '_tt_enable_cookie', '_scid*', '_pin_unauth', 'li_fat_id', '_rdt_uuid', '_twpid'], // advertising elsewhere
  ...['_ym_*'], // Yandex Metrica
  ...['_sp_id.*', '_sp_ses.*'], // Snowplow
  ...['AMCV_*', 'AMCVS_*', 's_cc', 's_sq'], // Adobe Analytics
  ...['__hstc', '__hssc', '__hssrc'], // HubSpot
  ...['OptanonConsent', 'OptanonAlertBoxClosed'], // OneTrust
  ...['CookieConsent', 'CookieConsentBulkTicket', 'CookieScriptConsent', 'cookieyes-consent'], // Cookiebot, others
  ...['euconsent-v2', 'usprivacy', 'didomi_token'], // IAB frameworks, Didomi
];

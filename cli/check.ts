/**
 * `seawall check`: says what is wrong with region files, or that nothing is.
 * @module
 */
import { checkRegions } from '../config/check.ts';
import { checkSiteFile, isSiteFile } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { RegionConfig } from '../config/schema.ts';
import { defineCommand } from './command.ts';
import { databaseProblems } from './databases.ts';
import { EXIT_FAILURE } from './failure.ts';
import { print, say } from './output.ts';

export const check = defineCommand({
  name: 'check',
  summary: 'Check region files, or a site file, without running anything.',
  about: `
Reads region files with all that they refer to and says what is wrong: the file,
the line, the key, and how to mend it. Files of one network are best checked
together: some mistakes show only side by side. A file of one site, as serve --site
and include take it, is checked by itself. Exits with 1 if anything is wrong.`,
  operands: 'FILE...',
  options: {
    json: {
      type: 'flag',
      help: 'Print one line of JSON: {"ok":…,"regions":[…],"sites":[…],"problems":[…],"warnings":[…]}.',
    },
  },
  examples: ['config/regions/eu.yaml config/regions/us.yaml', 'config/sites/demo.yaml'],

  async run({ json }, files) {
    const sites = files.filter(isSiteFile).map((file) => checkSiteFile(file));
    const { regions, problems: found, warnings } = checkRegions(files.filter((file) => !isSiteFile(file)));
    const ofSites = sites.flatMap(({ problems }) => problems);
    const problems = [...found, ...ofSites, ...(await databaseProblems(regions))];
    if (json) {
      const names = regions.map(({ region, file }) => ({ region, file }));
      const siteNames = sites.flatMap(({ file, site }) => (site === undefined ? [] : [{ site: site.name, file }]));
      print(JSON.stringify({ ok: problems.length === 0, regions: names, sites: siteNames, problems, warnings }));
    } else {
      for (const warning of warnings) say(`warning: ${formatProblem(warning)}`);
      for (const problem of problems) say(`${formatProblem(problem)}`);
      if (problems.length === 0) {
        for (const region of regions) print(`${region.file}: ${describe(region)}`);
        for (const { file, site } of sites) {
          if (site !== undefined) print(`${file}: site ${site.name} is valid: ${count(site.rules.length, 'rule')}`);
        }
      }
    }
    return problems.length === 0 ? 0 : EXIT_FAILURE;
  },
});

function describe({ region, edges, shields, control, dns, sites }: RegionConfig): string {
  const parts = [
    count(edges.length, 'edge'),
    count(shields.length, 'shield'),
    ...(control ? ['the control node'] : []),
    ...(dns ? [`the DNS server of ${count(dns.zones.length, 'zone')}`] : []),
    count(sites.length, 'site'),
  ];
  return `region ${region} is valid: ${parts.join(', ')}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

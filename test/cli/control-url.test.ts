/** Address of the control node for a command. */
import { test } from 'tap';
import { controlUrl, DEFAULT_CONTROL } from '../../cli/control-url.ts';

for (const { option, env, url } of [
  { option: undefined, env: undefined, url: `${DEFAULT_CONTROL}/v1/a` },
  { option: undefined, env: '', url: `${DEFAULT_CONTROL}/v1/a` },
  { option: undefined, env: 'https://c.example:1', url: 'https://c.example:1/v1/a' },
  { option: 'http://d.example', env: 'https://c.example', url: 'http://d.example/v1/a' },
  { option: 'http://d.example/below/', env: undefined, url: 'http://d.example/v1/a' },
  { option: 'd.example:8900', env: undefined, url: undefined },
  { option: 'ftp://d.example', env: undefined, url: undefined },
  { option: '', env: 'https://c.example', url: undefined },
  { option: undefined, env: 'nonsense', url: undefined },
]) {
  test(`--control ${option ?? 'left out'} with SEAWALL_CONTROL ${env ?? 'not set'} ${url === undefined ? 'is refused' : `asks ${url}`}`, async (t) => {
    const before = process.env['SEAWALL_CONTROL'];
    t.teardown(() => {
      if (before === undefined) delete process.env['SEAWALL_CONTROL'];
      else process.env['SEAWALL_CONTROL'] = before;
    });
    if (env === undefined) delete process.env['SEAWALL_CONTROL'];
    else process.env['SEAWALL_CONTROL'] = env;
    const named = new RegExp(option === undefined ? '^SEAWALL_CONTROL' : '^--control');
    if (url === undefined) t.throws(() => controlUrl(option, '/v1/a'), { code: 'cli_usage', message: named });
    else t.equal(controlUrl(option, '/v1/a').href, url);
  });
}

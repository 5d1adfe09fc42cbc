import { pino } from 'pino';
import { test } from 'tap';
import { Ledger } from '../../cache/ledger.ts';
import { monotonicMs } from '../../lib/clock.ts';
import { NodeMetrics } from '../../telemetry/metrics.ts';
import { reportHealth } from '../../tier/health-report.ts';
import { Targets } from '../../tier/targets.ts';

const OPTIONS = { name: 'shield-1', failures: 3, firstPauseMs: 1_000, maxPauseMs: 5_000 };

for (const { what, hasAnswered, level, says } of [
  {
    what: 'has not answered since the process started is no warning: it may not run yet',
    hasAnswered: false,
    level: 'info',
    says: /^shield-1 does not answer yet, others are asked: /,
  },
  {
    what: 'has answered before is a warning',
    hasAnswered: true,
    level: 'warn',
    says: /^shield-1 left out, others are asked: /,
  },
]) {
  test(`a target that ${what}; both are counted`, async (t) => {
    const lines: string[] = [];
    const options = { formatters: { level: (label: string) => ({ level: label }) } };
    const log = pino(options, { write: (line) => void lines.push(line) });
    const metrics = new NodeMetrics('eu-1', 'edge', undefined, new Ledger({ leaseMs: 1_000 }), () => 0);
    const targets = new Targets();
    reportHealth({ log, metrics }, targets);
    const health = targets.add(OPTIONS);
    if (hasAnswered) health.succeeded(monotonicMs(0));
    health.leaveOut('unreachable', monotonicMs(1), 'refused: connect ECONNREFUSED 198.18.0.1:8700');
    const [line = '{}'] = lines;
    t.match(JSON.parse(line), { level, msg: says, detail: /^refused: / });
    t.match(
      await metrics.registry.metrics(),
      /seawall_targets_left_out_total\{.*target="shield-1",cause="unreachable".*\} 1/,
    );
    targets.remove(health);
  });
}

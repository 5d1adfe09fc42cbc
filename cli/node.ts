/**
 * `seawall node`: has a control node forget a node that is gone.
 * @module
 */
import { quote } from '../config/problem.ts';
import type { ProblemDocument } from '../control/errors.ts';
import { actionOf } from './action.ts';
import { defineCommand } from './command.ts';
import { answerOf, CONTROL_OPTIONS, callControl, sayRefusal, tokenOf } from './control-api.ts';
import { controlUrl } from './control-url.ts';
import { EXIT_FAILURE, Failure, UsageError } from './failure.ts';
import { print } from './output.ts';

const ACTIONS = ['forget'] as const;
const TIMEOUT_MS = 10_000;

export const node = defineCommand({
  name: 'node',
  summary: 'Forget a node that is gone.',
  about: `
forget   receipts wait for the node no more. For one that is gone for good, or for a
         while: when it comes back, it registers again, and applies what it missed
         before it serves what it has stored. A node that is there is not forgotten:
         stop it first. seawall status shows which nodes are missing. Needs a token
         that was made with --all-sites --kind drain; the audit log names it.`,
  operands: 'forget NAME',
  options: {
    ...CONTROL_OPTIONS,
  },
  examples: ['forget eu-3', 'forget eu-3 --control http://10.0.0.3:8900'],

  async run({ token, control, json }, [action, name, ...more]) {
    actionOf(ACTIONS, action);
    if (name === undefined)
      throw new UsageError('no node is named', 'Name it as seawall status does: node forget NAME.');
    if (more[0] !== undefined) throw new UsageError(`${quote(more[0])} is not expected here`, '');
    const url = controlUrl(control, `/v1/nodes/${encodeURIComponent(name)}/forget`);
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await callControl(url, { method: 'POST', token: tokenOf(token), signal });
    if ('reason' in response) throw new Failure(`${url.origin} does not answer: ${response.reason}`);
    const answer = await answerOf<{ forgotten: string } | ProblemDocument>(url, response);
    if (json) print(JSON.stringify(answer));
    if ('code' in answer) {
      if (!json) sayRefusal(answer, () => undefined);
      return EXIT_FAILURE;
    }
    if (!json) print(`${answer.forgotten} is forgotten: receipts wait for it no more.`);
    return 0;
  },
});

/**
 * Questions of a control node that are asked and answered in JSON.
 * @module
 */
import { json } from 'node:stream/consumers';
import { requestBody } from '../http/body/arriving-body.ts';
import { HttpError } from '../http/errors.ts';
import { answerWhole, type ServerExchange } from '../http/exchange.ts';

/**
 * Answers a POST by what `answer` makes of its body. Never rejects.
 *
 * @param maxBytes - Of the body.
 * @param answer - Gets `undefined` for no body; an `HttpError` that it throws is the status, anything else 400.
 */
export async function answerJson(
  exchange: ServerExchange,
  maxBytes: number,
  answer: (body: unknown) => object | Promise<object>,
): Promise<void> {
  try {
    const body = requestBody(exchange, maxBytes);
    const text = JSON.stringify(await answer(body === undefined ? undefined : await json(body)));
    answerWhole(exchange, 200, ['Content-Type', 'application/json'], text);
  } catch (error) {
    const { status } = error instanceof HttpError ? error : new HttpError('bad_request');
    if (exchange.hasHead) exchange.abort();
    else answerWhole(exchange, status, ['Connection', 'close']);
  }
}

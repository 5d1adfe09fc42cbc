/** Error of the benchmark that is printed without a stack. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}

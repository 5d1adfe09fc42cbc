/** Something that the benchmark says instead of a number, without a stack. @module */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}

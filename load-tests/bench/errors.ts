/** Error of the benchmark that is printed without a stack. */
export class BenchError extends Error {
  override readonly name: string = 'BenchError';
}

/** Error in the options of the command. */
export class OptionError extends BenchError {
  override readonly name = 'OptionError';
}

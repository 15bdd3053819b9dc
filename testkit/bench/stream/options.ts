// What `stream` is asked to measure.

export interface StreamOptions {
  readonly consumers: number;
  /** Events a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Events that are made by one request, at most: fewer at a low rate, for twenty requests a second. */
  readonly batch: number;
}

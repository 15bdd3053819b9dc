// The current activity of a bench, on standard error: standard output belongs to its result.

export type Progress = (text: string) => void;

/** Rewrites one line on a terminal; prints nothing elsewhere. */
export const tellProgress: Progress = (text) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

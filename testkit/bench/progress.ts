// What a bench is busy with, on standard error: standard output belongs to its result.

export type Progress = (text: string) => void;

/** Rewrites one line where somebody watches; keeps still where nobody does. */
export const tellProgress: Progress = (text) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

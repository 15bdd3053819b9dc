// Numbers, times and durations as people read them. Pure.
const whole = new Intl.NumberFormat("en-GB");

export function formatCount(value: number): string {
  return whole.format(value);
}

/** "1 host", "2 hosts". */
export function plural(value: number, noun: string): string {
  return `${formatCount(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Per second: three digits that count. */
export function formatRate(value: number): string {
  if (value >= 100) return whole.format(Math.round(value));
  if (value >= 10) return value.toFixed(1);
  return value === 0 ? "0" : value.toFixed(value < 1 ? 2 : 1);
}

/** "6", "6.4", "640". */
export function formatMean(value: number): string {
  return whole.format(Number(value.toFixed(value < 10 ? 1 : 0)));
}

export function formatMs(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0 ms";
  if (value >= 1_000) return `${(value / 1_000).toFixed(1)} s`;
  if (value >= 10) return `${value.toFixed(0)} ms`;
  return value >= 1 ? `${value.toFixed(1)} ms` : `${value.toFixed(2)} ms`;
}

/** Local time, to the second; with the date where it is not today's. */
export function formatTime(iso: string, now = new Date()): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const clock = time.toLocaleTimeString("en-GB");
  return time.toDateString() === now.toDateString() ? clock : `${time.toLocaleDateString("sv-SE")} ${clock}`;
}

export function formatAgo(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)} h ago` : `${Math.floor(seconds / 86_400)} d ago`;
}

/** Capitalized, if it starts with a word and not with a name or an address. */
export function sentence(text: string): string {
  return /^[a-z]+[\s,:]/.test(text) ? `${text.charAt(0).toUpperCase()}${text.slice(1)}` : text;
}

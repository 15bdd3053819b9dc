// A few pieces of a part's sources, chosen by a seed: the short form of `npm run mutants`. Pure.
import { createHash } from "node:crypto";
import type { Source } from "./parts.ts";

/** Lines of one piece: also changes that span some lines fit in. */
const pieceLines = 12;

/** About one piece for so many lines, at least one for a part. */
const linesPerPiece = 500;

/** `<file>:<first line>-<last line>`, as Stryker's `mutate` takes them. */
export function samplePieces(sources: readonly Source[], seed: string): string[] {
  const places = sources.flatMap(({ file, text }) => {
    const lines = text.split("\n").length;
    return Array.from({ length: lines }, (_, i) => `${file}:${i + 1}-${Math.min(lines, i + pieceLines)}`);
  });
  const count = Math.max(1, Math.round(places.length / linesPerPiece));
  return places
    .map((place) => ({ place, rank: createHash("sha256").update(`${seed} ${place}`).digest("hex") }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, count)
    .map(({ place }) => place);
}

// A few pieces of a part's sources, chosen by a seed and by the texts: the short form of `npm run mutants`. Pure.
import { createHash } from "node:crypto";
import type { Source } from "./parts.ts";

/** Lines of one piece: also changes that span some lines fit in. */
const pieceLines = 12;

/** About one piece for so many lines, at least one for a part. */
const linesPerPiece = 2_000;

/**
 * A changed file brings other pieces of its own, and nearly none of the files that are as they were: who changes one part need not
 * write the tests that another lacks.
 * @returns `<file>:<first line>-<last line>`, as Stryker's `mutate` takes them
 */
export function samplePieces(sources: readonly Source[], seed: string): string[] {
  const places = sources.flatMap(({ file, text }) => {
    const lines = text.split("\n").length;
    const ofFile = hashOf(`${seed} ${text}`);
    return Array.from({ length: lines }, (_, i) => {
      const place = `${file}:${i + 1}-${Math.min(lines, i + pieceLines)}`;
      return { place, rank: hashOf(`${ofFile} ${place}`) };
    });
  });
  const count = Math.max(1, Math.round(places.length / linesPerPiece));
  return places
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, count)
    .map(({ place }) => place);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

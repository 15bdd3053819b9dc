// Moves of VMs as they happen: drawn for a moment, then listed.
import { useLayoutEffect, useState } from "preact/hooks";
import { moveOf } from "../live/describe.ts";
import { stream } from "../live/stream.ts";
import { flightMs } from "../moments.ts";

export interface SeenMove {
  readonly id: string;
  readonly vm: string;
  readonly from: string;
  readonly to: string;
  readonly atMs: number;
}

const kept = 8;
/** Of an atomic bulk no more than these are drawn at once. */
const maxInFlight = 60;

export function useMoves(): { readonly latest: readonly SeenMove[]; readonly flying: readonly SeenMove[] } {
  const [latest, setLatest] = useState<readonly SeenMove[]>([]);
  const [flying, setFlying] = useState<readonly SeenMove[]>([]);
  // Before the first drawing of the map: a move in between is not queried again.
  useLayoutEffect(
    () =>
      stream.listen({
        onEvents: (events) => {
          const moves = events.flatMap((event) => {
            const move = moveOf(event);
            return move ? [{ id: event.id, atMs: Date.now(), ...move }] : [];
          });
          if (moves.length === 0) return;
          setLatest((before) => [...moves.reverse(), ...before].slice(0, kept));
          setFlying((before) => [...before, ...moves].slice(-maxInFlight));
          setTimeout(() => setFlying((all) => all.filter(({ id }) => !moves.some((move) => move.id === id))), flightMs);
        },
      }),
    [],
  );
  return { latest, flying };
}

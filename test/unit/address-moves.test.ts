// Which addresses move too often, and what ends that.
import { describe, expect, test } from "vitest";
import { AddressMoves, flapping } from "../../controller/agents/address-moves.ts";

const ip = "100 10.20.1.100";

describe("an address that moves", () => {
  test("is frozen by the fifth move within 180 s, and stays so", () => {
    const moves = new AddressMoves();
    const every = flapping.withinMs / (flapping.moves - 1);
    for (let n = 0; n < flapping.moves - 1; n++) expect(moves.moved(ip, n * every)).toBe(false);
    expect(moves.isFrozen(ip)).toBe(false);
    expect(moves.moved(ip, flapping.withinMs)).toBe(true);
    expect([moves.isFrozen(ip), moves.frozen(), moves.isFrozen("100 10.20.1.101")]).toEqual([true, [ip], false]);
    expect(moves.lastMoveMs(ip)).toBe(flapping.withinMs);
  });

  test("is not, where the moves take longer", () => {
    const moves = new AddressMoves();
    const every = flapping.withinMs / (flapping.moves - 1) + 1;
    for (let n = 0; n < 20; n++) expect(moves.moved(ip, n * every)).toBe(false);
    expect(moves.frozen()).toEqual([]);
  });

  test("moves again when it is thawed, and is frozen only by five more moves", () => {
    const moves = new AddressMoves();
    for (let n = 0; n < flapping.moves; n++) moves.moved(ip, n);
    expect(moves.thaw(ip)).toBe(true);
    expect([moves.isFrozen(ip), moves.thaw(ip), moves.thaw("100 10.20.1.101")]).toEqual([false, false, false]);
    for (let n = 0; n < flapping.moves - 1; n++) expect(moves.moved(ip, 10 + n)).toBe(false);
    expect(moves.moved(ip, 20)).toBe(true);
  });

  test("is forgotten when it has rested and there are many, unless it is frozen", () => {
    const moves = new AddressMoves();
    for (let n = 0; n < flapping.moves; n++) moves.moved(ip, n);
    moves.moved("rested", 0);
    for (let n = 0; n < 2_000; n++) moves.moved(`lately ${n}`, 2 * flapping.withinMs);
    expect(moves.frozen()).toEqual([ip]);
    expect(moves.lastMoveMs("rested")).toBeUndefined();
    expect(moves.lastMoveMs("lately 0")).toBe(2 * flapping.withinMs);
  });
});

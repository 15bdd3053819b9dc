import { expect, test } from "vitest";
import { StateMachine, type Transitions } from "../../common/state-machine.ts";

type Door = { readonly kind: "open" } | { readonly kind: "closed"; readonly key: number };

const transitions: Transitions<Door["kind"]> = { open: ["closed"], closed: [] };

test("a legal transition ends what belongs to the state that is left, with the new state set", () => {
  const seen: string[] = [];
  const machine: StateMachine<Door> = new StateMachine<Door>(transitions, { kind: "open" }, (left) =>
    seen.push(`${left.kind}, now ${machine.state.kind}`),
  );
  machine.enter({ kind: "closed", key: 7 });
  expect(machine.state).toEqual({ kind: "closed", key: 7 });
  expect(seen).toEqual(["open, now closed"]);
});

test("an illegal transition is refused, and the state stays", () => {
  const machine = new StateMachine<Door>(transitions, { kind: "open" }, () => {});
  expect(() => machine.enter({ kind: "open" })).toThrow("illegal transition from open to open");
  machine.enter({ kind: "closed", key: 1 });
  expect(() => machine.enter({ kind: "open" })).toThrow("illegal transition from closed to open");
  expect(machine.state).toEqual({ kind: "closed", key: 1 });
});

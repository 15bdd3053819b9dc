// An attacker on a server: attacks on request, and reports what it sent and which answers it got.
import { controllerAttacks } from "../attacks/all.ts";
import type { Tally } from "../attacks/attack.ts";
import { serveOrders } from "../crew.ts";
import type { Means, Target } from "../means.ts";
import type { ControllerAttack } from "../names.ts";

export type AttackerOrder =
  /** Answered when the attack has reached its full size, or after `growMs`: a server may refuse to let it grow. */
  | {
      readonly kind: "attack";
      readonly name: ControllerAttack;
      readonly target: Target;
      readonly means: Means;
      readonly growMs: number;
    }
  /** Answered with a `Tally` of the time since the attack began. */
  | { readonly kind: "rest" };

let tally: Tally = {};
let stop = (): void => {};

function attack({ name, target, means, growMs }: Extract<AttackerOrder, { kind: "attack" }>): Promise<void> {
  tally = {};
  // Late results count for their own attack.
  const own = tally;
  const count = (what: string) => {
    own[what] = (own[what] ?? 0) + 1;
  };
  return new Promise((grown) => {
    setTimeout(grown, growMs);
    stop = controllerAttacks[name]({ target, means, count, grown });
  });
}

serveOrders((order: AttackerOrder) => {
  stop();
  stop = () => {};
  return order.kind === "attack" ? attack(order) : tally;
});

// Guests that break a path: two that use the same address, and one that has used up its query budget. Pure.
import { type Check, wrong } from "./check.ts";
import type { PathFacts } from "./facts.ts";

/** Of the sender; empty without a problem. */
export function checkSourceGuest({ guests, from, network }: PathFacts): Check[] {
  return [...checkClaim("source address", guests.claimedFrom, from, network), ...checkBudget(guests)];
}

/** Of the destination; empty without a problem. */
export function checkDestinationGuest({ guests, to, network }: PathFacts): Check[] {
  return checkClaim("destination address", guests.claimedTo, to, network);
}

function checkClaim(name: string, says: string | undefined, ip: string, network: string): Check[] {
  if (says === undefined) return [];
  const fix = `if that guest is the VM which ${ip} is registered for, correct the MAC of its interface (nearmiss vm update --help); otherwise take ${ip} from it, or register it in ${network} for the VM with that MAC`;
  return [wrong(name, says, fix)];
}

function checkBudget({ exhausted }: PathFacts["guests"]): Check[] {
  if (exhausted === undefined) return [];
  return [
    wrong(
      "budget",
      `${exhausted} has used up its query budget: unknown addresses are not queried`,
      "end the scan (nearmiss agent status shows who asks); the budget refills within seconds",
    ),
  ];
}

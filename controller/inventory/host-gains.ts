// How many VMs hosts gain and lose by a change set.
import { limits } from "../../schema/plain/index.ts";
import type { Vm } from "../../schema/rest/index.ts";
import type { Draft } from "./draft.ts";
import type { Inventory } from "./inventory.ts";
import { type Look, Refusal } from "./refusal.ts";

/** Only hosts that gain VMs are checked: if the limit is exceeded for another reason, VMs may still leave. */
export class HostGains {
  private readonly gained = new Map<string, { step: number; vm: string }>();

  constructor(private readonly draft: Draft) {}

  add(before: Vm | null, after: Vm | null): void {
    if (before) this.count(before, -1);
    if (after) this.count(after, 1);
  }

  check(look: Look): void {
    for (const [host, { step, vm }] of this.gained) {
      if (fits(this.draft.base, host, step)) continue;
      look("vm", vm, () => {
        const detail = `host "${host}" would have more than ${limits.vmsPerHost} VMs: place VM "${vm}" on another one`;
        throw new Refusal("limit-exceeded", detail);
      });
    }
  }

  /** Whether no host would have too many in that inventory either. */
  fitIn(state: Inventory): boolean {
    for (const [host, { step }] of this.gained) if (!fits(state, host, step)) return false;
    return true;
  }

  /** Whether the host would not have too many in that inventory either. */
  fitsOn(state: Inventory, host: string): boolean {
    const gain = this.gained.get(host);
    return !gain || fits(state, host, gain.step);
  }

  private count({ host, name }: Vm, step: number): void {
    this.gained.set(host, { step: (this.gained.get(host)?.step ?? 0) + step, vm: name });
  }
}

const fits = (state: Inventory, host: string, step: number): boolean =>
  step <= 0 || state.vmsOn(host).size + step <= limits.vmsPerHost;

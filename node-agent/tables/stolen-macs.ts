// MACs of VMs on other hosts with which guests of this host send: each frame moves the bridge's entry to the guest's port, until it is put back.
// Pure; time is injected.
import type { MacAddress, Vni } from "../../schema/address/index.ts";
import { inUseMs } from "./address-claims.ts";
import { unregisteredMs } from "./local-guests.ts";

export interface StolenMac {
  readonly vni: Vni;
  readonly mac: MacAddress;
  /** Of the port that the frames came from last. */
  readonly portIfindex: number;
}

/** Frames that come no closer together than this are stragglers of migrations. */
const togetherMs = 60_000;
/** A guest can send with any number of addresses. */
const maxStolen = 256;

export class StolenMacs {
  private readonly seen = new Map<string, StolenMac & { firstMs: number; lastMs: number }>();

  note(stolen: StolenMac, nowMs: number): void {
    const key = `${stolen.vni} ${stolen.mac}`;
    const known = this.seen.get(key);
    if (!known && this.seen.size >= maxStolen && !this.dropOld(nowMs)) return;
    const firstMs = known && nowMs - known.lastMs < togetherMs ? known.firstMs : nowMs;
    this.seen.set(key, { ...stolen, firstMs, lastMs: nowMs });
  }

  /**
   * Those that came again after a while: a VM that has just moved away may have sent its last frames here.
   * @param isRemote whether the MAC is still that of a VM on another host
   */
  list(isRemote: (stolen: StolenMac) => boolean, nowMs: number): StolenMac[] {
    this.dropOld(nowMs);
    return [...this.seen.values()].filter((each) => each.lastMs - each.firstMs >= unregisteredMs && isRemote(each));
  }

  /** @returns whether there is room */
  private dropOld(nowMs: number): boolean {
    for (const [key, { lastMs }] of this.seen) if (nowMs - lastMs >= inUseMs) this.seen.delete(key);
    return this.seen.size < maxStolen;
  }
}

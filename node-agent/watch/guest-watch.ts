// Checks that the guests that send on this host are those that are registered on it: periodically, and when a port changes.
import { every, type Repetition } from "../../common/every.ts";
import type { MacAddress, Vni } from "../../schema/address/index.ts";
import type { ConditionName } from "../../schema/agent/index.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";
import type { GuestSource } from "../findings/condition-reporter.ts";
import type { BridgePorts } from "../kernel/devices/bridge-ports.ts";
import { bridgeName } from "../kernel/devices/device-names.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import { findPlace } from "../kernel/devices/port-devices.ts";
import { NetlinkError } from "../kernel/sockets/request-socket.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { HeldAnswers } from "../tables/held.ts";
import { compareGuests, type GuestFinding, LastingFindings } from "../tables/local-guests.ts";

/** Interval of checks of all networks: a bridge forgets a silent guest after 300 s. */
const everyMs = 10_000;
/** Between two checks because of changes: a starting guest changes its port several times. */
const soonMs = 200;

export interface GuestWatchDependencies {
  readonly devices: Pick<NetworkDevices, "deviceOf" | "adoptedFor">;
  readonly bridgePorts: Pick<BridgePorts, "list">;
  readonly registered: Pick<RegisteredNetworks, "vnis" | "nameOf" | "prepared">;
  readonly held: HeldAnswers;
  /** Networks whose devices an earlier run of the agent made: their guests may have been heard then. */
  readonly takenOver: ReadonlySet<Vni>;
  /** A condition became true; once each time. */
  onFinding(finding: GuestFinding): void;
  nowMs(): number;
}

export class GuestWatch implements GuestSource {
  private readonly lasting = new LastingFindings();
  private readonly heard = new Map<Vni, Set<MacAddress>>();
  /** Guests that were registered before this run, on devices of an earlier run, and were not heard yet. */
  private readonly inherited = new Map<Vni, Set<MacAddress>>();
  private readonly timer: Repetition;
  private soon: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;

  constructor(private readonly deps: GuestWatchDependencies) {
    this.timer = every(everyMs, () => this.look(), { inStep: true });
  }

  /** The present conditions. */
  get findings(): readonly GuestFinding[] {
    return this.lasting.list();
  }

  get conditions(): HostCondition[] {
    return this.findings.map((finding) => this.asCondition(finding));
  }

  get undecided(): ConditionName[] {
    return [...this.inherited].flatMap(([vni, macs]) =>
      [...macs].map((mac): ConditionName => ({ kind: "guest-never-seen", vni, subject: mac })),
    );
  }

  close(): void {
    this.timer.stop();
    clearTimeout(this.soon);
  }

  /** A port changed. */
  lookSoon(afterMs = soonMs): void {
    this.soon ??= setTimeout(() => {
      this.soon = undefined;
      void this.look();
    }, afterMs);
  }

  /** Checks all networks, one after the other. */
  look(): Promise<void> {
    this.looking ??= this.lookAtAll().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private async lookAtAll(): Promise<void> {
    try {
      const vnis = this.deps.registered.vnis();
      for (const vni of this.heard.keys()) if (!vnis.includes(vni)) this.forget(vni);
      for (const vni of vnis) await this.lookAt(vni);
    } catch (error) {
      // A bridge that is being created or deleted: the next check handles it.
      if (!(error instanceof NetlinkError)) throw error;
    }
    const dueInMs = this.lasting.dueInMs(this.deps.nowMs());
    if (dueInMs !== undefined && dueInMs < everyMs) this.lookSoon(dueInMs + soonMs);
  }

  private async lookAt(vni: Vni): Promise<void> {
    const { devices, bridgePorts, held, onFinding, nowMs } = this.deps;
    const device = devices.deviceOf(vni);
    if (!device) return;
    const ports = await bridgePorts.list(device, () => true);
    const registered = held.locals(vni);
    const known = new Set(registered.map(({ mac }) => mac));
    const isFirst = !this.heard.has(vni);
    const heard = this.heardOf(vni, known);
    // There may be any number of other guests, which are irrelevant here.
    for (const { learned } of ports) for (const mac of learned) if (known.has(mac)) heard.add(mac);
    const isRemote = (mac: MacAddress): boolean => held.find({ kind: "mac", vni, mac })?.kind === "remote";
    const prepared = this.deps.registered.prepared.in(vni);
    const found = compareGuests({ vni, registered, prepared, ports, isRemote, placeOf: findPlace }, heard);
    const decided = this.withoutInherited(vni, found, isFirst);
    for (const finding of this.lasting.update(vni, decided, nowMs())) onFinding(finding);
  }

  /** Without guests of which this run cannot say whether they were heard before it. */
  private withoutInherited(vni: Vni, found: readonly GuestFinding[], isFirst: boolean): readonly GuestFinding[] {
    const silent = found.filter(({ reason }) => reason === "silent").map(({ mac }) => mac);
    const before = isFirst ? (this.deps.takenOver.has(vni) ? silent : []) : [...(this.inherited.get(vni) ?? [])];
    const inherited = new Set(before.filter((mac) => silent.includes(mac)));
    this.inherited.set(vni, inherited);
    return found.filter(({ reason, mac }) => reason !== "silent" || !inherited.has(mac));
  }

  private asCondition({ kind, vni, mac, reason, port }: GuestFinding): HostCondition {
    const { devices, registered } = this.deps;
    const bridge = devices.adoptedFor(vni)?.bridge ?? bridgeName(vni);
    const values = { mac, ...(port === undefined ? {} : { port }), ...(reason === "detached" ? { bridge } : {}) };
    return asCondition({ kind, reason, vni, values }, registered.nameOf(vni));
  }

  /** Registered guests only: a guest that is registered again must be seen again. */
  private heardOf(vni: Vni, registered: ReadonlySet<MacAddress>): Set<MacAddress> {
    const heard = new Set([...(this.heard.get(vni) ?? [])].filter((mac) => registered.has(mac)));
    this.heard.set(vni, heard);
    return heard;
  }

  private forget(vni: Vni): void {
    this.heard.delete(vni);
    this.inherited.delete(vni);
    this.lasting.update(vni, [], this.deps.nowMs());
  }
}

// Checks that the guests that send on this host are those that are registered on it. A network is looked at after a message about it, and
// in turn with the others.
import { every, type Repetition } from "../../common/every.ts";
import { SerialQueue } from "../../common/serial-queue.ts";
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
import { Looks } from "./looks.ts";

/** Interval of looks at the networks of which something was heard. */
const everyMs = 10_000;
/** In these steps each network is looked at, whatever was heard of it: 300 s, as long as a bridge remembers a silent guest. */
const steps = 30;
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
  private readonly heardIn = new Map<Vni, Set<MacAddress>>();
  /** Guests that were registered before this run, on devices of an earlier run, and were not heard yet. */
  private readonly inherited = new Map<Vni, Set<MacAddress>>();
  private readonly timer: Repetition;
  private soon: NodeJS.Timeout | undefined;
  private readonly looks = new Looks(steps);
  private readonly made = new WeakMap<
    GuestFinding,
    { readonly bridge: string; readonly network: string | undefined; readonly condition: HostCondition }
  >();
  private readonly work = new SerialQueue("stop");

  constructor(private readonly deps: GuestWatchDependencies) {
    this.timer = every(everyMs, () => this.step(), { inStep: true });
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

  /** Something was heard of the network: it is looked at within ten seconds. */
  heard(vni: Vni): void {
    this.looks.mark(vni);
  }

  /** A registered port changed, or messages were lost: looks at all networks. */
  lookSoon(): void {
    this.markAll();
    this.lookIn(soonMs);
  }

  /** Looks at all networks, one after the other. */
  look(): Promise<void> {
    this.markAll();
    return this.lookAtMarked();
  }

  private markAll(): void {
    for (const vni of this.deps.registered.vnis()) this.looks.mark(vni);
  }

  private step(): Promise<void> {
    const { registered, held } = this.deps;
    const nameOf = ({ mac, port = "" }: { readonly mac: MacAddress; readonly port?: string }) => `${mac} ${port}`;
    this.looks.step(registered.vnis(), (vni) =>
      [held.locals(vni), registered.prepared.in(vni)].map((guests) => guests.map(nameOf).join()).join("; "),
    );
    return this.lookAtMarked();
  }

  private lookIn(ms: number): void {
    this.soon ??= setTimeout(() => {
      this.soon = undefined;
      void this.lookAtMarked();
    }, ms);
  }

  private lookAtMarked(): Promise<void> {
    return this.work.run(async () => {
      const vnis = this.deps.registered.vnis();
      for (const vni of this.heardIn.keys()) if (!vnis.includes(vni)) this.forget(vni);
      for (const vni of this.lasting.undecidedIn()) this.looks.mark(vni);
      for (const vni of this.looks.take()) if (vnis.includes(vni)) await this.tryLook(vni);
      const dueInMs = this.lasting.dueInMs(this.deps.nowMs());
      if (dueInMs !== undefined && dueInMs < everyMs) this.lookIn(dueInMs + soonMs);
    });
  }

  private async tryLook(vni: Vni): Promise<void> {
    try {
      await this.lookAt(vni);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      // A bridge that is being created or deleted.
      this.looks.mark(vni);
    }
  }

  private async lookAt(vni: Vni): Promise<void> {
    const { devices, bridgePorts, held, onFinding, nowMs } = this.deps;
    const device = devices.deviceOf(vni);
    if (!device) return;
    const ports = await bridgePorts.list(device, () => true);
    const registered = held.locals(vni);
    const known = new Set(registered.map(({ mac }) => mac));
    const isFirst = !this.heardIn.has(vni);
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

  /** Asked for every second: made once, as long as the names in it are the same. */
  private asCondition(finding: GuestFinding): HostCondition {
    const { kind, vni, mac, reason, port } = finding;
    const { devices, registered } = this.deps;
    const bridge = devices.adoptedFor(vni)?.bridge ?? bridgeName(vni);
    const network = registered.nameOf(vni);
    const known = this.made.get(finding);
    if (known?.bridge === bridge && known.network === network) return known.condition;
    const values = { mac, ...(port === undefined ? {} : { port }), ...(reason === "detached" ? { bridge } : {}) };
    const condition = asCondition({ kind, reason, vni, values }, network);
    this.made.set(finding, { bridge, network, condition });
    return condition;
  }

  /** Registered guests only: a guest that is registered again must be seen again. */
  private heardOf(vni: Vni, registered: ReadonlySet<MacAddress>): Set<MacAddress> {
    const heard = new Set([...(this.heardIn.get(vni) ?? [])].filter((mac) => registered.has(mac)));
    this.heardIn.set(vni, heard);
    return heard;
  }

  private forget(vni: Vni): void {
    this.heardIn.delete(vni);
    this.inherited.delete(vni);
    this.lasting.update(vni, [], this.deps.nowMs());
  }
}

// Which networks' broadcasts and groups this host copies to others, and where to: from the registered networks, the host tables, the groups
// of other hosts, and the rules that keep DHCP and the like out of the copies (guard/broadcast-guard.ts). Without the rules nothing is copied.
import type { AgentNetwork, MacAddress, Vni } from "../../schema/address/index.ts";
import { asCondition, type HostCondition } from "../findings/condition.ts";
import { vxlanName } from "../kernel/devices/device-names.ts";
import type { NetworkDevices } from "../kernel/devices/network-devices.ts";
import {
  broadcastEntries,
  broadcastOperations,
  copiesByMac,
  frameRate,
  type GroupEntries,
  groupEntries,
  maxCopiedGroups,
  maxCopies,
  type TunnelEnd,
} from "../tables/broadcast.ts";
import type { BroadcastEntry, Entry, OperationResult, Place } from "../tables/entry.ts";
import { broadcastMac, entryKey, type Operation } from "../tables/entry.ts";
import type { GroupTables } from "../tables/group-tables.ts";
import type { HostTables, NetworkHost } from "../tables/host-tables.ts";
import type { RegisteredNetworks } from "./registered-networks.ts";

/** What is wrong with a port's broadcasts ends when nothing of it was dropped for this time. */
const stormMs = 10_000;

/** Frames by what became of them, since the start. */
export type BroadcastCounter = "copied" | "storm" | "filtered";

export interface BroadcastState {
  /**
   * `copied`: to the destinations. `pending`: the host table or the rules are not there yet, and the kernel keeps what it has.
   * `unfiltered`: the rules cannot be loaded. `too-many`: the network is on more hosts than a frame may have copies.
   */
  readonly state: "copied" | "pending" | "unfiltered" | "too-many";
  /** Other hosts of the network, as far as they are known. */
  readonly entries: ReadonlyMap<string, BroadcastEntry>;
  /** Of groups with members on other hosts. */
  readonly groups: GroupEntries;
}

/** A tunnel whose broadcasts and groups pass the rules. */
export interface FilteredTunnel {
  readonly vni: Vni;
  readonly device: string;
  readonly perMinute: number;
  readonly burst: number;
  /** Copies of a frame to each group that is copied, by its MAC address. */
  readonly groups: ReadonlyMap<MacAddress, number>;
}

export interface BroadcastsDependencies {
  readonly registered: Pick<RegisteredNetworks, "list" | "find" | "nameOf" | "tunnelEnd" | "registeredEnd">;
  readonly hostTables: Pick<HostTables, "all">;
  readonly groupTables: Pick<GroupTables, "of">;
  readonly devices: Pick<NetworkDevices, "adoptedFor">;
  readonly copiesPerSecond: number;
  /** Of the entry writer. */
  write(operations: readonly Operation[]): Promise<OperationResult[]>;
  /** The network's entries have to be compared. */
  look(vni: Vni): void;
  nowMs(): number;
}

const nothing: ReadonlyMap<string, BroadcastEntry> = new Map();
const noGroups: GroupEntries = { entries: nothing, leftOut: 0 };

export class Broadcasts {
  /** Number of frames. */
  readonly counters = new Map<BroadcastCounter, number>([
    ["copied", 0],
    ["storm", 0],
    ["filtered", 0],
  ]);
  /** Resolves when the kernel has all changes so far. */
  written: Promise<unknown> = Promise.resolve();
  private states = new Map<Vni, BroadcastState>();
  /** What the kernel should have, of networks that are copied. */
  private desired = new Map<Vni, ReadonlyMap<string, BroadcastEntry>>();
  /** Entries of groups of an earlier run, which stay until the host that they lead to has said what it is in. */
  private inherited: readonly BroadcastEntry[] = [];
  /** Devices that the rules in the kernel cover. */
  private covered: ReadonlySet<string> = new Set();
  /** Devices for which the rules were asked for last; with those that are not covered, and why. */
  private attempted: ReadonlySet<string> = new Set();
  private refusal: string | undefined;
  /** Ports beyond their rate. */
  private readonly storms = new Map<string, { readonly vni: Vni; readonly lastMs: number }>();

  constructor(private readonly deps: BroadcastsDependencies) {
    this.copiesPerSecond = deps.copiesPerSecond;
  }

  readonly copiesPerSecond: number;

  /** Entries that an earlier run has left in the kernel. */
  inherit(entries: readonly Entry[]): void {
    this.inherited = entries.flatMap((entry) =>
      entry.kind === "broadcast" && entry.mac !== broadcastMac ? [entry] : [],
    );
  }

  /** The controller does not know of groups: no host says what it is in. */
  forgetInherited(): void {
    this.inherited = [];
  }

  /** Undefined: broadcasts of the network stay on their host. */
  stateOf(vni: Vni): BroadcastState | undefined {
    return this.states.get(vni);
  }

  /** Whether it is known which entries the network should have; until then those of the kernel stay. */
  isDecided(vni: Vni): boolean {
    return this.states.get(vni)?.state !== "pending";
  }

  /** By place: what the kernel should have now. */
  entriesOf(vni: Vni): ReadonlyMap<string, BroadcastEntry> {
    return this.desired.get(vni) ?? nothing;
  }

  /** Of all networks, what the kernel should have: of broadcasts, and of groups by MAC address. */
  get destinations(): { readonly broadcasts: number; readonly groups: number } {
    const macs = [...this.desired.values()].flatMap((entries) => [...entries.values()].map(({ mac }) => mac));
    const broadcasts = macs.filter((mac) => mac === broadcastMac).length;
    return { broadcasts, groups: macs.length - broadcasts };
  }

  entryAt(place: Place): Entry | undefined {
    return this.entriesOf(place.vni).get(entryKey(place));
  }

  /** What an operator should fix. */
  get conditions(): HostCondition[] {
    const nameOf = (vni: Vni): string => this.deps.registered.nameOf(vni) ?? String(vni);
    const off = [...this.states].flatMap(([vni, { state, entries }]) => {
      if (state === "copied" || state === "pending") return [];
      const values = state === "too-many" ? { hosts: String(entries.size + 1), most: String(maxCopies + 1) } : {};
      const reason = state === "too-many" ? "too-many-hosts" : "no-rules";
      const facts = { kind: "broadcast-not-copied", reason, vni, values } as const;
      const { says, ...sent } = asCondition(facts, nameOf(vni));
      return [
        state === "unfiltered" && this.refusal !== undefined
          ? { ...sent, says: `${says} (${this.refusal})` }
          : { ...sent, says },
      ];
    });
    const values = { most: String(this.deps.copiesPerSecond) };
    const storms = [...this.states.keys()].flatMap((vni) =>
      this.limitedPorts(vni).map((port) =>
        asCondition({ kind: "broadcast-storm", reason: "limited", vni, values: { port, ...values } }, nameOf(vni)),
      ),
    );
    const full = [...this.states].flatMap(([vni, { groups }]) => {
      if (groups.leftOut === 0) return [];
      const limits = { count: String(groups.leftOut), most: String(maxCopiedGroups) };
      return [asCondition({ kind: "groups-limited", reason: "network", vni, values: limits }, nameOf(vni))];
    });
    return [...off, ...storms, ...full];
  }

  /** Networks, host tables, the tunnel end or the rules have changed. @returns when the kernel has the change */
  refresh(): Promise<unknown> {
    const before = this.states;
    const present = this.desired;
    this.states = new Map(
      this.deps.registered.list().flatMap((network) => {
        const state = this.judge(network);
        return state ? [[network.vni, state] as const] : [];
      }),
    );
    this.desired = new Map(
      [...this.states].flatMap(([vni, { state, entries, groups }]) =>
        state === "copied" ? [[vni, new Map([...entries, ...groups.entries])] as const] : [],
      ),
    );
    const operations: Operation[] = [];
    for (const vni of new Set([...before.keys(), ...this.states.keys()])) {
      if (!this.isDecided(vni)) continue;
      const was = before.get(vni);
      // What the kernel has is not known then.
      if (was?.state === "pending" || !was) this.deps.look(vni);
      operations.push(...broadcastOperations(present.get(vni) ?? nothing, this.entriesOf(vni)));
    }
    if (operations.length > 0) this.written = Promise.all([this.written, this.deps.write(operations)]);
    return this.written;
  }

  /** What the rules have to cover. */
  tunnels(): FilteredTunnel[] {
    return [...this.states].map(([vni, { entries, groups }]) => ({
      vni,
      device: this.deviceOf(vni),
      ...frameRate(this.deps.copiesPerSecond, entries.size),
      groups: copiesByMac(groups.entries),
    }));
  }

  /** A network waits for the rules. */
  get awaitsRules(): boolean {
    return this.tunnels().some(({ device }) => !this.covered.has(device) && !this.attempted.has(device));
  }

  /** The rules in the kernel cover these devices, and no other of those that there are. */
  rulesLoaded(devices: Iterable<string>): Promise<unknown> {
    return this.noteRules(devices, undefined);
  }

  /** There are no rules that could be relied on. @param reason for a person */
  rulesMissing(reason: string): Promise<unknown> {
    return this.noteRules([], reason);
  }

  /** Ports of the network whose broadcasts were beyond their rate a moment ago. */
  limitedPorts(vni: Vni): string[] {
    const nowMs = this.deps.nowMs();
    return [...this.storms].flatMap(([port, storm]) =>
      storm.vni === vni && nowMs - storm.lastMs < stormMs ? [port] : [],
    );
  }

  count(what: BroadcastCounter, frames: number): void {
    this.counters.set(what, (this.counters.get(what) ?? 0) + frames);
  }

  /** Frames of a port were beyond its rate. @returns whether that is new */
  noteStorm(port: string, vni: Vni): boolean {
    const nowMs = this.deps.nowMs();
    for (const [each, { lastMs }] of this.storms) if (nowMs - lastMs >= stormMs) this.storms.delete(each);
    const isNew = !this.storms.has(port);
    this.storms.set(port, { vni, lastMs: nowMs });
    return isNew;
  }

  private noteRules(devices: Iterable<string>, refusal: string | undefined): Promise<unknown> {
    this.covered = new Set(devices);
    this.attempted = new Set(this.tunnels().map(({ device }) => device));
    this.refusal = refusal;
    return this.refresh();
  }

  private judge({ vni, broadcast }: AgentNetwork): BroadcastState | undefined {
    if (broadcast === undefined) return undefined;
    const { registered, hostTables } = this.deps;
    const hosts = hostTables.all().get(vni);
    const { tunnelEnd, registeredEnd } = registered;
    if (!hosts || !tunnelEnd) return { state: "pending", entries: nothing, groups: noGroups };
    const own: TunnelEnd[] = registeredEnd ? [tunnelEnd, registeredEnd] : [tunnelEnd];
    const entries = broadcastEntries(vni, hosts.values(), own);
    if (entries.size > maxCopies) return { state: "too-many", entries, groups: noGroups };
    const groups = this.groupsOf(vni, hosts, own);
    const device = this.deviceOf(vni);
    if (this.covered.has(device)) return { state: "copied", entries, groups };
    return { state: this.attempted.has(device) ? "unfiltered" : "pending", entries, groups };
  }

  private groupsOf(vni: Vni, hosts: ReadonlyMap<string, NetworkHost>, own: readonly TunnelEnd[]): GroupEntries {
    const { groupTables } = this.deps;
    const reported = [...hosts].map(([name, host]) => ({ name, ...host, ...groupTables.of(vni, name) }));
    const silent = reported.filter(({ isWhole }) => isWhole !== true);
    const kept = this.inherited.filter(
      (entry) =>
        entry.vni === vni &&
        silent.some(({ vtep, port = own[0]?.vtepPort }) => vtep === entry.vtep && port === entry.vtepPort),
    );
    return groupEntries(
      vni,
      reported.map((host) => ({ ...host, groups: host.groups ?? [] })),
      kept,
      own,
    );
  }

  private deviceOf(vni: Vni): string {
    return this.deps.devices.adoptedFor(vni)?.name ?? vxlanName(vni);
  }
}

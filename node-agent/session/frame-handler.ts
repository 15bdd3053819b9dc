// Handles the controller's frames: updates held answers, networks and the position. `controller-link/` delivers the frames
// complete and in order.
import type { Logger } from "pino";
import { defined } from "../../common/defined.ts";
import {
  type Answer,
  addressOf,
  type BindingKey,
  defaultVtepPort,
  keyText,
  type Vni,
  type VtepAddress,
} from "../../schema/address/index.ts";
import { protocolVersions } from "../../schema/agent/index.ts";
import { version } from "../../schema/version.ts";
import type { Frame } from "../controller-link/frame-assembly.ts";
import type { Declared, Hello, LinkHandlers } from "../controller-link/link.ts";
import type { Releases } from "../controller-link/releases.ts";
import type { Uplink } from "../controller-link/uplink.ts";
import type { ConditionReporter } from "../findings/condition-reporter.ts";
import type { Reporter } from "../findings/reporter.ts";
import type { MissResolver } from "../misses/resolver.ts";
import type { Broadcasts } from "../networks/broadcasts.ts";
import type { EntryWriter, Programmed } from "../networks/entry-writer.ts";
import type { HostNetworks } from "../networks/host-networks.ts";
import type { RegisteredNetworks } from "../networks/registered-networks.ts";
import type { Entry } from "../tables/entry.ts";
import type { GroupTables } from "../tables/group-tables.ts";
import type { HeldAnswers } from "../tables/held.ts";
import type { Occasion } from "../tables/held-network.ts";
import type { HostTableFrame, HostTables } from "../tables/host-tables.ts";
import type { AppliedPosition } from "./applied-position.ts";
import type { AwaitedGuests } from "./awaited-guests.ts";
import type { MissOutcomes } from "./miss-outcomes.ts";
import type { Replication } from "./replication.ts";
import type { StoredState } from "./stored-state.ts";

/** What this host reports about itself. */
export interface Identity {
  readonly host: string;
  /** Absent: the address that the operator registered for this host. */
  readonly vtep?: VtepAddress;
  /** Its queries send seeds to other hosts, and theirs to this one. */
  readonly seeding: boolean;
  readonly senders: boolean;
}

export interface FrameHandlerDependencies {
  readonly identity: Identity;
  readonly held: HeldAnswers;
  readonly registered: RegisteredNetworks;
  readonly networks: HostNetworks;
  readonly resolver: MissResolver;
  readonly releases: Releases;
  readonly writer: Pick<EntryWriter, "announce" | "take">;
  /** The limit of addresses is near. */
  readonly crowded: () => void;
  readonly hostTables: Pick<HostTables, "take" | "keep">;
  readonly groupTables: Pick<GroupTables, "take" | "keep" | "forget" | "clear">;
  /** Of guests of this host (watch/group-watch.ts). */
  readonly groups: {
    /** The session has its snapshot. @param takes its controller takes memberships */
    begin(takes: boolean): void;
    onClosed(): void;
  };
  /** Groups of other hosts have changed. */
  readonly groupsChanged: () => void;
  readonly broadcasts: Pick<Broadcasts, "forgetInherited">;
  readonly replication: Replication;
  readonly conditions: Pick<ConditionReporter, "begin" | "start" | "onClosed">;
  readonly awaited: Pick<AwaitedGuests, "clear">;
  /** Absent: this host keeps nothing on disk. */
  readonly stored: Pick<StoredState, "begin" | "hostChanged" | "erase"> | undefined;
  /** Of addresses by guests (watch/address-takeovers.ts). */
  readonly takeovers: {
    start(): void;
    onClaimed(frame: Frame<"claimed">): void;
    onProbe(frame: Frame<"probe">): void;
    onClosed(): void;
  };
  readonly uplink: Pick<Uplink, "send" | "nextId">;
  readonly outcomes: MissOutcomes;
  readonly progress: AppliedPosition;
  readonly reporter: Reporter;
  readonly trust: (frame: Frame<"trust">) => void;
  readonly log: Logger;
  nowMs(): number;
}

export class FrameHandler implements LinkHandlers {
  /** Keys of entries of an earlier run in the kernel: queried with the first session. */
  private inherited: readonly BindingKey[] = [];
  /** This session began with the registration of the host. */
  private isNew = false;
  private snapshots = 0;
  /** The controller of this session knows of multicast groups. */
  private hasGroups = false;

  constructor(private readonly deps: FrameHandlerDependencies) {}

  inherit(entries: readonly Entry[]): void {
    this.inherited = entries.flatMap((entry) => keyOfEntry(entry) ?? []);
  }

  hello(): Hello {
    const { host, vtep, seeding, senders } = this.deps.identity;
    const { epoch, asOf } = this.deps.progress;
    return {
      protocol: protocolVersions,
      version,
      host,
      ...(vtep ? { vtep } : {}),
      vtepPort: defaultVtepPort,
      ...(seeding ? { seeding: true } : {}),
      ...(senders ? { senders: true } : {}),
      broadcasts: true,
      groups: true,
      ...defined({ epoch, asOf }),
    };
  }

  /** What is asked for has to be answered, also where an answer is cached. */
  interest(): Declared[] {
    const { held, resolver } = this.deps;
    const asked = new Map([...resolver.unanswered(), ...this.inherited].map((key) => [keyText(key), key]));
    const cached = held.keys().filter((key) => !asked.has(keyText(key)));
    const isAbsent = (key: BindingKey): boolean => held.find(key)?.kind === "absent";
    return [
      { keys: cached.filter((key) => !isAbsent(key)), held: "binding" },
      { keys: cached.filter(isAbsent), held: "tombstone" },
      { keys: [...asked.values()] },
    ];
  }

  onWelcome(frame: Frame<"welcome">): void {
    const { identity, registered, progress, log } = this.deps;
    this.deps.replication.begin(frame.protocol, progress.epoch === frame.epoch);
    this.deps.conditions.begin(frame.protocol);
    progress.begin(frame.epoch, frame.asOf);
    this.hasGroups = frame.groups === true;
    if (!this.hasGroups) {
      this.deps.groupTables.clear();
      this.deps.broadcasts.forgetInherited();
    }
    this.isNew = frame.isNew === true;
    registered.registeredEnd = { vtep: frame.vtep, vtepPort: frame.vtepPort };
    if (identity.vtep && identity.vtep !== frame.vtep) {
      log.warn(
        { registered: frame.vtep, given: identity.vtep },
        "the operator registered another VTEP for this host than --vtep says: the registered one is used",
      );
    }
    log.info({ vtep: frame.vtep, revision: frame.asOf }, "session with the controller");
  }

  /** The first complete answer: from here on this host may delete entries that no answer confirms. */
  onSnapshot(frame: Frame<"snapshot">): void {
    const { held, registered, networks, resolver, releases, writer, outcomes, progress, log, nowMs } = this.deps;
    const timelines = resolver.onAnswers(frame.answers);
    const visible = new Set(frame.networks.map((network) => network.vni));
    // An answer about a network that this host may not see means nothing: it may become visible with VMs in it.
    const answers = frame.answers.filter(({ key }) => visible.has(key.vni));
    const before = this.interest().flatMap(({ keys }) => keys);
    this.deps.hostTables.keep(visible);
    this.deps.groupTables.keep(visible);
    this.deps.awaited.clear();
    const withoutRoom =
      frame.since === undefined ? held.replace(answers, nowMs()) : held.resume(visible, answers, nowMs());
    releases.release(withoutRoom);
    registered.prepared.replace(frame.prepared ?? []);
    const work = networks.replace(frame.networks, progress.epoch ?? "", this.isNew);
    this.isNew = false;
    // Kept entries of networks that this host may not see are queried again in the next session, perhaps from the right store.
    this.inherited = before.filter((key) => networks.keeps(key.vni));
    void work.then(() => {
      log.info({ revision: frame.asOf, networks: registered.size }, "in sync with the controller");
      return this.deps.conditions.start();
    });
    const snapshot = ++this.snapshots;
    // A later snapshot may have interrupted this work: it announces its own answers when they are in the kernel.
    const programmed = work.then(() => writer.announce(snapshot === this.snapshots ? answers : []));
    outcomes.answered(timelines, frame.answers, nowMs(), programmed);
    progress.acknowledge(frame.asOf, work);
    this.deps.replication.start(frame.networks);
    this.deps.stored?.begin();
    this.deps.groups.begin(this.hasGroups);
    this.deps.reporter.flush();
    this.deps.takeovers.start();
  }

  /** A seed may answer a pending query: it ends the query as an answer does. */
  onAnswers(frame: Frame<"answers"> | Frame<"seed">): void {
    const { registered, resolver, releases, outcomes, log, nowMs } = this.deps;
    if (frame.type === "answers") {
      releases.confirmed(frame.id);
      this.deps.reporter.answered(frame.id);
    }
    const timelines = resolver.onAnswers(frame.answers);
    const occasion = frame.type === "answers" ? "asked" : "told";
    outcomes.answered(timelines, frame.answers, nowMs(), this.take(releases.pass(frame.answers), occasion));
    if (frame.type !== "seed") return;
    for (const { key, binding } of frame.answers) {
      const { vni } = key;
      log.debug({ network: registered.nameOf(vni), vni, key: addressOf(key), vtep: binding?.vtep }, "seeded");
    }
  }

  onChanges(frame: Frame<"changes">): void {
    const { held, registered, networks, replication, resolver, releases, outcomes, progress, log, nowMs } = this.deps;
    const timelines = resolver.onAnswers(frame.answers);
    const startMs = nowMs();
    for (const { vni } of frame.networks) if (!registered.has(vni)) held.forgetNetwork(vni);
    // Writes entries of existing devices at once; the set-up below starts from all entries that are held by then.
    const arriving = registered.prepared.change(frame.prepared ?? []);
    const programmed = this.take(releases.pass(frame.answers), "told", arriving);
    outcomes.answered(timelines, frame.answers, startMs, programmed);
    for (const vni of frame.gone) held.forgetNetwork(vni);
    const remaining = this.remaining(frame);
    if (frame.gone.length > 0) {
      this.deps.hostTables.keep(remaining);
      this.deps.groupTables.keep(remaining);
    }
    replication.keep(new Set(remaining));
    const changed = networks.change(frame.networks, frame.gone, frame.self);
    replication.follow(frame.networks);
    if (frame.networks.length + frame.gone.length > 0 || frame.self) this.deps.stored?.hostChanged();
    for (const { key, binding, revision } of frame.answers) {
      log.debug({ revision, vni: key.vni, key: addressOf(key), vtep: binding?.vtep ?? null }, "change applied");
    }
    progress.acknowledge(frame.asOf, Promise.all([programmed, changed]));
  }

  onBase(frame: Frame<"base">): void {
    this.deps.replication.onBase(frame);
  }

  onDelta(frame: Frame<"delta">): void {
    this.deps.replication.onDelta(frame);
  }

  onClaimed(frame: Frame<"claimed">): void {
    this.deps.takeovers.onClaimed(frame);
  }

  onProbe(frame: Frame<"probe">): void {
    this.deps.takeovers.onProbe(frame);
  }

  onGroups({ vni, hosts }: Frame<"groups">): void {
    const { identity, groupTables, groupsChanged } = this.deps;
    groupTables.take(
      vni,
      hosts.filter(({ host }) => host !== identity.host),
    );
    groupsChanged();
  }

  onTrust(frame: Frame<"trust">): void {
    this.deps.trust(frame);
  }

  /** Other hosts of a network: they may send to this one, and have copies of broadcasts. */
  onHosts(frame: HostTableFrame): void {
    const { hostTables, groupTables } = this.deps;
    if (!hostTables.take(frame, (host) => groupTables.forget(frame.vni, host))) return;
    this.deps.networks.hostsChanged();
    this.deps.stored?.hostChanged();
  }

  onSenders(frame: Frame<"senders">): void {
    this.onHosts(frame);
  }

  /**
   * Answers from wherever they come: into memory and kernel, with what follows for guests, interest and limits.
   * @param arriving networks whose prepared guests have changed
   */
  take(answers: readonly Answer[], occasion: Occasion, arriving: Iterable<Vni> = []): Promise<Programmed> {
    const { held, networks, releases, writer, crowded } = this.deps;
    const { released, guestsIn, programmed } = writer.take(answers, occasion);
    const concerned = new Set([...guestsIn, ...arriving]);
    if (concerned.size > 0) {
      networks.guestsMayHaveChanged(concerned);
      this.deps.stored?.hostChanged();
    }
    releases.release(released);
    if (held.isCrowded()) crowded();
    return programmed;
  }

  /** VNIs of this host after the change. */
  private remaining({ networks, gone }: Frame<"changes">): Vni[] {
    const vnis = [...this.deps.registered.list(), ...networks].map(({ vni }) => vni);
    return vnis.filter((vni) => !gone.includes(vni));
  }

  onHeartbeat(frame: Frame<"heartbeat">): void {
    this.deps.progress.acknowledge(frame.asOf, Promise.resolve());
  }

  onRevoked(): void {
    void this.deps.stored?.erase();
  }

  onClosed(): void {
    this.deps.releases.clear();
    this.deps.replication.onClosed(this.deps.progress.asOf);
    this.deps.reporter.onClosed();
    this.deps.conditions.onClosed();
    this.deps.takeovers.onClosed();
    this.deps.groups.onClosed();
  }
}

/** The key whose answer confirms an entry; a bridge entry shares that of the tunnel entry. */
function keyOfEntry(entry: Entry): BindingKey | undefined {
  if (entry.kind === "neighbour") return { kind: "ip", vni: entry.vni, ip: entry.ip };
  if (entry.kind === "tunnel") return { kind: "mac", vni: entry.vni, mac: entry.mac };
  return undefined;
}

// The agent channel: one WebSocket per host at `agentPath`, JSON text frames, ordered both ways. What may be said on it; wire.ts
// reads it, and docs/protocol.md describes it. The types are those of both versions: version 2 writes answers as records (records.ts).
//
//   agent → controller   hello, interest … end, then resolve, release, subscribe, unsubscribe, applied, report, claim, probed, memberships
//   controller → agent   welcome, snapshot … end, then answers, seed, changes, base … end, delta, heartbeat;
//                        hosts (version 1: senders) before the snapshot or the changes that they belong to; trust, claimed, probe and groups at any time
//
// Frames are at most `maxFrameBytes`; a larger set is chunked, closed by `end: true`, and applied only when whole.
// Unknown fields and unknown frame types are ignored, so that neighbouring versions work together.
import type {
  AgentNetwork,
  Answer,
  BindingKey,
  GroupAddress,
  IpAddress,
  MacAddress,
  PreparedChange,
  Revision,
  Vni,
  VtepAddress,
} from "../address/index.ts";
import { problemUri } from "../plain/index.ts";
import type { ConditionName, ReportedCondition } from "./conditions.ts";
import type { ReportedFinding } from "./findings.ts";

export const agentPath = "/v1/agent";
/** Versions of this protocol that this build supports. Both sides use the highest common one. */
export const protocolVersions = { min: 1, max: 2 } as const;
export const maxFrameBytes = 64 * 1024;
/** The controller is silent no longer than this; each side gives the other up after three times as long. */
export const heartbeatMs = 5_000;
/** Unknown addresses that the controller remembers per host and network, in case they are registered later. */
export const maxUnknownPerHostAndNetwork = 4_096;

/** Why the controller closed the channel (RFC 6455 §7.4.2: 4000 … 4999 are the application's). */
export const closeCodes = {
  badFrame: 4400,
  /** The host's certificate has expired or was revoked since the session began. */
  certificateEnded: 4401,
  hostUnknown: 4403,
  /** The agent read more slowly than changes arrived: connect again. */
  tooSlow: 4408,
  replaced: 4409,
  hostDeleted: 4410,
  /** Another agent is connected as this host, with another key. */
  hostTaken: 4423,
  protocolUnsupported: 4426,
  failed: 1011,
  controllerStopping: 1001,
} as const;

/** An agent sends `used` no later than this after an entry was written, ms. */
export const maxUsageDelayMs = 1_000;

/** Type of the problem with which a controller refuses a host whose certificate it has revoked (RFC 9457). */
export const revokedProblem = problemUri("host-revoked");

/** A miss, put to the controller; `asker` is the guest that asked, where the agent has seen it. */
export type Question = BindingKey & { readonly asker?: IpAddress };

export type AgentFrame =
  | {
      readonly type: "hello";
      readonly protocol: { readonly min: number; readonly max: number };
      readonly version: string;
      readonly host: string;
      /** Absent: the agent uses the operator's value. */
      readonly vtep?: VtepAddress;
      readonly vtepPort: number;
      /** Takes part in seeding: its questions prepare the return path elsewhere, and others' here. */
      readonly seeding?: true;
      /** Accepts only frames from VTEPs of a network's hosts, and wants to receive these: host tables, in version 1 senders. */
      readonly senders?: true;
      /** Copies broadcasts of networks with `broadcast`, and wants to receive the host tables of these. */
      readonly broadcasts?: true;
      /** Copies multicast of these networks to hosts with members, says which groups its guests have joined, and wants to receive those of others. */
      readonly groups?: true;
      /** The store and position that the agent's entries are from; absent on the first connection. */
      readonly epoch?: string;
      readonly asOf?: Revision;
    }
  /** All keys that the agent holds: replaces the controller's set for this host. Complete with `end`. */
  | {
      readonly type: "interest";
      readonly keys: readonly BindingKey[];
      /** What the agent has for each of the keys, at the position of its hello. Absent: nothing. */
      readonly held?: HeldKind;
      readonly end: boolean;
    }
  | { readonly type: "resolve"; readonly id: number; readonly questions: readonly Question[] }
  /** Answered with empty `answers` of this id: earlier frames may still contain the keys, later ones do not. */
  | { readonly type: "release"; readonly id: number; readonly keys: readonly BindingKey[] }
  /** Version 2: all bindings of a network, and their changes from then on. */
  | {
      readonly type: "subscribe";
      readonly id: number;
      readonly vni: Vni;
      /** The position to which the agent has the network, in the epoch of its hello. Absent: it has nothing. */
      readonly asOf?: Revision;
    }
  /** Answered like a release: frames before its answer may have records of the network, later ones do not. */
  | { readonly type: "unsubscribe"; readonly id: number; readonly vni: Vni }
  /** Version 2: keys of a network in memory that the kernel has. Becomes interest, as a question does, and is not answered. */
  | { readonly type: "used"; readonly keys: readonly BindingKey[] }
  /**
   * Version 2: what is wrong on the host at present. `whole` replaces the set, in one frame or several until `end`: so at the start of a session;
   * differences follow.
   */
  | {
      readonly type: "conditions";
      readonly whole: boolean;
      /** For how long this run of the agent has watched its guests, ms: an earlier run may have seen what this one has not. */
      readonly watchedMs: number;
      /** With `whole`: conditions of guests that this run can neither confirm nor refute yet. They stay if an earlier run reported them. */
      readonly undecided: readonly ConditionName[];
      /** New, or with other values; `agoMs`: for how long the agent has found it. */
      readonly add: readonly (ReportedCondition & { readonly agoMs: number })[];
      readonly remove: readonly ConditionName[];
      readonly end: boolean;
    }
  /**
   * The kernel has acknowledged everything up to `revision` (0: nothing yet). Version 1: `problems` is the whole present list of conditions, as
   * sentences; empty in version 2.
   */
  | {
      readonly type: "applied";
      readonly revision: Revision;
      readonly problems: readonly string[];
      /** Absent: none has ended since the last word. */
      readonly misses?: MissTimes;
    }
  /**
   * A guest has announced an address that its interface may take: asks for it. Answered with `claimed` of this id. `agoMs`: since the
   * guest announced it. An older controller ignores it.
   */
  | {
      readonly type: "claim";
      readonly id: number;
      readonly vni: Vni;
      /** Of the interface. */
      readonly mac: MacAddress;
      readonly ip: IpAddress;
      /** Of the bridge, where it was announced. */
      readonly port: string;
      readonly agoMs: number;
      /** It was not announced, only used: it is granted where no interface has it, or the guest that has it does not answer. */
      readonly ifFree?: true;
    }
  /** Whether the guest answered a `probe`. Absent for a guest that the agent cannot ask. */
  | { readonly type: "probed"; readonly id: number; readonly answers: boolean }
  /**
   * Version 2: multicast groups of a network with members among the guests of this host. `whole` replaces what the controller has of this host
   * in the network: once in a session, as soon as the agent knows them all; differences come before and after it. At most
   * `maxMemberships` of a network.
   */
  | ({ readonly type: "memberships"; readonly vni: Vni } & GroupChange)
  /** What happened on the host and is no inventory. An older controller ignores it. */
  | { readonly type: "report"; readonly reports: readonly ReportedFinding[] };

/** Groups of one network that a host is in. */
export interface GroupChange {
  /** `joined` are all groups of the host; otherwise those that are new. */
  readonly whole: boolean;
  readonly joined: readonly GroupAddress[];
  readonly left: readonly GroupAddress[];
}

/** Groups of one network with members on one host. */
export const maxMemberships = 1_024;

/** An answer that an agent has: a binding, or a tombstone. */
export type HeldKind = "binding" | "tombstone";

/** A host that may know a network, with its tunnel end. null: no longer. */
export type Member =
  | { readonly host: string; readonly vtep: VtepAddress; readonly port: number }
  | { readonly host: string; readonly vtep: null };

/** A host whose frames are accepted in a network: it has a VM in it. null: no longer. */
export interface Sender {
  readonly host: string;
  readonly vtep: VtepAddress | null;
}

/** Misses whose entries the kernel has acknowledged since the agent's last word: from reading the miss to there. */
export interface MissTimes {
  readonly count: number;
  /** Of all together. */
  readonly sumMs: number;
  readonly maxMs: number;
}

export type ControllerFrame =
  | {
      readonly type: "welcome";
      readonly protocol: number;
      readonly epoch: string;
      readonly asOf: Revision;
      readonly host: string;
      /** The host as registered: the values for the agent's tunnels. */
      readonly vtep: VtepAddress;
      readonly vtepPort: number;
      /** This agent has registered the host just now: what its machine has is of another registration. */
      readonly isNew?: true;
      /** The controller takes `memberships`, and sends `groups`. */
      readonly groups?: true;
    }
  /** Everything that concerns the host: its networks, its local bindings, the answer to each key of its interest. */
  | {
      readonly type: "snapshot";
      readonly asOf: Revision;
      /** Keys that were declared as held and are not among `answers` are as at this position. Absent: all keys are answered. */
      readonly since?: Revision;
      readonly networks: readonly AgentNetwork[];
      readonly answers: readonly Answer[];
      /** Version 2: all interfaces of VMs that are being migrated to the host. Absent: none. */
      readonly prepared?: readonly PreparedChange[];
      readonly end: boolean;
    }
  /** Answers that the host has not asked for yet: the VM behind them has asked for one of the host's VMs. */
  | { readonly type: "seed"; readonly asOf: Revision; readonly answers: readonly Answer[] }
  | { readonly type: "answers"; readonly id: number; readonly asOf: Revision; readonly answers: readonly Answer[] }
  /** What one revision changed for this host. `networks` are new or changed; `gone` left this host. */
  | {
      readonly type: "changes";
      readonly asOf: Revision;
      readonly networks: readonly AgentNetwork[];
      readonly gone: readonly Vni[];
      readonly answers: readonly Answer[];
      /** Version 2: what changed of interfaces that are being migrated to the host. Absent: nothing. */
      readonly prepared?: readonly PreparedChange[];
      /** The host's own registration changed. */
      readonly self?: { readonly vtep: VtepAddress; readonly vtepPort: number };
      readonly end: boolean;
    }
  /**
   * The host table of a network, or a change of it: sent before the snapshot or the changes to which it belongs. `whole`: replaces the
   * earlier table.
   */
  | {
      readonly type: "hosts";
      readonly asOf: Revision;
      readonly vni: Vni;
      readonly whole: boolean;
      readonly hosts: readonly Member[];
      /** More of the same network follow otherwise. */
      readonly end: boolean;
    }
  /** Version 1: the same without the receiving host, and without ports. */
  | {
      readonly type: "senders";
      readonly asOf: Revision;
      readonly vni: Vni;
      readonly whole: boolean;
      readonly hosts: readonly Sender[];
      /** More of the same network follow otherwise. */
      readonly end: boolean;
    }
  /** Part of all bindings of a network that the agent has subscribed to. Deltas of the network may come between the parts. */
  | {
      readonly type: "base";
      /** Of the `subscribe` that it belongs to. */
      readonly id: number;
      readonly asOf: Revision;
      /** Only what is behind this position, tombstones included. Absent: everything. */
      readonly since?: Revision;
      readonly vni: Vni;
      readonly answers: readonly Answer[];
      readonly end: boolean;
    }
  /** Part of what one revision changed in a network that the agent has subscribed to: the same for all subscribers. */
  | { readonly type: "delta"; readonly asOf: Revision; readonly vni: Vni; readonly answers: readonly Answer[] }
  | { readonly type: "heartbeat"; readonly asOf: Revision }
  /** Decided: the change, where there is one, is sent before it. `reason` of a refusal: one of `claimRefusals`, or of a newer controller. */
  | { readonly type: "claimed"; readonly id: number; readonly granted: boolean; readonly reason?: string }
  /** Asks a guest of this host whether it still has an address of its interface. An older agent ignores it. */
  | {
      readonly type: "probe";
      readonly id: number;
      readonly vni: Vni;
      readonly mac: MacAddress;
      readonly ip: IpAddress;
      readonly port: string;
    }
  /**
   * Groups of other hosts of a network, or changes of them. Not part of the inventory, so without a position in the log. A host without a
   * `whole` set has not said yet what it is in since the controller started: what is known of it from before stays.
   */
  | {
      readonly type: "groups";
      readonly vni: Vni;
      readonly hosts: readonly ({ readonly host: string } & GroupChange)[];
    }
  /**
   * The CAs with which to check the controller's certificate from now on (PEM; empty: a public CA), and the issuer of
   * hosts' certificates: an agent whose certificate has another issuer renews it at once. Over TLS only. Not part of
   * the inventory, so without a position in the log.
   */
  | { readonly type: "trust"; readonly ca: string; readonly issuer: string };

/**
 * `not-allowed`: not this address at this port. `frozen`: it moves too often, and stays where it is. `overtaken`: another guest has announced
 * it later. `in-use`: the guest that has it answers, or cannot be asked, and this one has not announced it just now. `unavailable`: the
 * controller cannot write at present.
 */
export const claimRefusals = ["not-allowed", "frozen", "overtaken", "in-use", "unavailable"] as const;
export type ClaimRefusal = (typeof claimRefusals)[number];

/** A frame that cannot be understood: the channel is closed with `closeCodes.badFrame` and this message. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

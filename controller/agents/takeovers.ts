// Claims of agents: a guest has announced an address that its interface may take. Who has it is decided here and written as any change, so
// that all hosts which know the address follow.
import type { FastifyBaseLogger } from "fastify";
import type { IpAddress, Vni } from "../../schema/address/index.ts";
import type { AgentFrame, ClaimRefusal } from "../../schema/agent/index.ts";
import { movableIps, type Network } from "../../schema/rest/index.ts";
import type { Attachment, Inventory } from "../inventory/inventory.ts";
import { findKnownNetwork } from "../inventory/known-networks.ts";
import { Refusal } from "../inventory/refusal.ts";
import type { Metrics } from "../metrics.ts";
import type { Committer } from "../write/committer.ts";
import { AddressMoves, flapping } from "./address-moves.ts";
import type { SeenCondition } from "./conditions.ts";
import type { ProbedGuest } from "./owner-probes.ts";

type ClaimFrame = Extract<AgentFrame, { type: "claim" }>;

export type ClaimResult = "moved" | "kept" | ClaimRefusal;

/** Of an older announcement it is not known whether the guest that has the address has announced it since. */
const currentMs = 2_000;
/** Hosts without a session count as lost from then on: after a start of the controller none has one. */
const startedMs = 30_000;
/** A guest that uses an address which another one has is heard of every few seconds. */
const disputedMs = 20_000;
/** Beyond, the oldest is not reported. */
const maxDisputed = 1_024;

export interface TakeoversDeps {
  readonly committer: Pick<Committer, "current" | "mutate">;
  readonly metrics: Pick<Metrics, "claimed">;
  /** Whether a guest answers for its address; resolves to undefined where its host does not say. Undefined: the host has no session. */
  readonly probe: (host: string, guest: ProbedGuest) => Promise<boolean | undefined> | undefined;
  /** It has had no session for a while, or since the start. */
  readonly isLost: (host: string) => boolean;
  /** Conditions of the host may have changed. */
  readonly update: (host: string) => void;
  readonly log: FastifyBaseLogger;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export class Takeovers {
  private readonly moves = new AddressMoves();
  /** Addresses that a guest uses beside the one that has it, and until when that is known. */
  private readonly disputed = new Map<string, number>();
  private readonly startMs: number;

  constructor(private readonly deps: TakeoversDeps) {
    this.startMs = deps.nowMs();
  }

  /** @param host whose agent it is from @param mayBeLate the frame may be older than it says */
  async claim(host: string, frame: ClaimFrame, mayBeLate: boolean): Promise<ClaimResult> {
    const result = await this.decide(host, frame, mayBeLate);
    this.deps.metrics.claimed(result);
    return result;
  }

  /** An operator says that the address may move again. @returns whether it was frozen */
  thaw(network: Network, ip: IpAddress): boolean {
    const isThawed = this.moves.thaw(addressOf(network.vni, ip));
    const owner = this.deps.committer.current.findByIp(network.name, ip);
    if (isThawed && owner) this.deps.update(owner.vm.host);
    return isThawed;
  }

  /** Addresses of VMs on the host that are kept there because they moved too often, or that another guest uses, too. */
  seenOn(host: string): SeenCondition[] {
    return this.marked().flatMap(({ network, ip, owner: { vm, interface: own }, isFrozen }): SeenCondition[] => {
      if (vm.host !== host || !movableIps(own).includes(ip)) return [];
      const about = { vni: network.vni, network, vm: vm.name };
      if (!isFrozen) return [{ kind: "address-disputed", reason: "both-answer", values: { ip }, ...about }];
      const values = { ip, moves: String(flapping.moves), seconds: String(flapping.withinMs / 1_000) };
      return [{ kind: "address-frozen", reason: "flapping", values, ...about }];
    });
  }

  /** Where these addresses are: their VMs may have moved. */
  hostsWithMarked(): ReadonlySet<string> {
    return new Set(this.marked().map(({ owner }) => owner.vm.host));
  }

  private marked(): Marked[] {
    const nowMs = this.deps.nowMs();
    for (const [address, untilMs] of this.disputed) if (untilMs <= nowMs) this.disputed.delete(address);
    const disputed = [...this.disputed.keys()].filter((address) => !this.moves.isFrozen(address));
    return [
      ...this.moves.frozen().flatMap((address) => this.mark(address, true)),
      ...disputed.flatMap((address) => this.mark(address, false)),
    ];
  }

  /** Nothing for an address that no VM has. */
  private mark(address: string, isFrozen: boolean): Marked[] {
    const { current } = this.deps.committer;
    const [vni = "", text = ""] = address.split(" ");
    const ip = text as IpAddress;
    const network = current.findNetworkByVni(Number(vni) as Vni);
    const owner = network && current.findByIp(network.name, ip);
    return network && owner ? [{ network, ip, owner, isFrozen }] : [];
  }

  private async decide(host: string, frame: ClaimFrame, mayBeLate: boolean): Promise<ClaimResult> {
    const { nowMs } = this.deps;
    const saidMs = nowMs() - frame.agoMs;
    const isCurrent = !frame.ifFree && !mayBeLate && frame.agoMs <= currentMs;
    const before = this.judge(host, frame, saidMs);
    if (typeof before === "string") return before;
    const { owner } = before;
    if (!owner || isCurrent) return this.move(host, frame, before);
    if (!(await this.isSilent(owner, frame))) {
      this.dispute(owner, frame, before.taker);
      return "in-use";
    }
    const after = this.judge(host, frame, saidMs);
    if (typeof after === "string") return after;
    return after.owner && !isSame(after.owner, owner) ? "overtaken" : this.move(host, frame, after);
  }

  /** @param saidMs when the guest said that it has the address. @returns who would get it, or the decision */
  private judge(host: string, { vni, mac, ip, port }: ClaimFrame, saidMs: number): Candidates | ClaimResult {
    const { current } = this.deps.committer;
    const taker = findTaker(current, host, { vni, mac, ip, port });
    if (!taker) return "not-allowed";
    const owner = current.findByIp(taker.interface.network, ip);
    if (owner && isSame(owner, taker)) return "kept";
    const address = addressOf(vni, ip);
    if (this.moves.isFrozen(address)) return "frozen";
    if ((this.moves.lastMoveMs(address) ?? Number.NEGATIVE_INFINITY) > saidMs) return "overtaken";
    return { taker, owner };
  }

  /** The guest that has the address does not answer for it: it has dropped it, or is not there any more. */
  private async isSilent(owner: Attachment, { vni, ip, ifFree }: ClaimFrame): Promise<boolean> {
    const { committer, probe, isLost, nowMs } = this.deps;
    const { vm, interface: own } = owner;
    const port = portOf(committer.current, owner);
    const answers = port === undefined ? undefined : probe(vm.host, { vni, mac: own.mac, ip, port });
    if (answers) return (await answers) === false;
    return !ifFree || (isLost(vm.host) && nowMs() - this.startMs >= startedMs);
  }

  private dispute(owner: Attachment, { vni, ip }: ClaimFrame, taker: Attachment): void {
    const { log, nowMs, update } = this.deps;
    const address = addressOf(vni, ip);
    const isKnown = this.disputed.delete(address);
    this.disputed.set(address, nowMs() + disputedMs);
    const [oldest] = this.disputed.keys();
    if (this.disputed.size > maxDisputed && oldest !== undefined) this.disputed.delete(oldest);
    if (isKnown) return;
    log.warn({ ip, vm: owner.vm.name, other: taker.vm.name }, "an address is used by two guests");
    update(owner.vm.host);
  }

  private async move(host: string, { vni, ip }: ClaimFrame, { taker, owner }: Candidates): Promise<ClaimResult> {
    const { committer, nowMs, log } = this.deps;
    const { vm, interface: own } = taker;
    const address = addressOf(vni, ip);
    try {
      const by = { name: `host ${host}`, role: "host", scope: "all" } as const;
      await committer.mutate(by, { kind: "vm.take", name: vm.name, interface: own.name, ip });
    } catch (error) {
      if (error instanceof Refusal) return "not-allowed";
      log.warn({ err: error, host, vm: vm.name, ip }, "an address that a guest has announced was not moved");
      return "unavailable";
    }
    const from = owner ? { from: owner.vm.name, fromHost: owner.vm.host } : {};
    log.info({ network: own.network, ip, vm: vm.name, host, ...from }, "address taken");
    const wasDisputed = this.disputed.delete(address);
    const isFrozen = owner !== undefined && this.moves.moved(address, nowMs());
    if (owner && (isFrozen || wasDisputed)) {
      this.deps.update(host);
      this.deps.update(owner.vm.host);
    }
    return "moved";
  }
}

interface Candidates {
  readonly taker: Attachment;
  readonly owner: Attachment | undefined;
}

interface Marked {
  readonly network: Network;
  readonly ip: IpAddress;
  readonly owner: Attachment;
  /** Otherwise disputed. */
  readonly isFrozen: boolean;
}

const addressOf = (vni: Vni, ip: IpAddress): string => `${vni} ${ip}`;

const isSame = (a: Attachment, b: Attachment): boolean =>
  a.vm.name === b.vm.name && a.interface.name === b.interface.name;

/** The interface behind the port of this host with the MAC, where it may take the address. */
function findTaker(
  state: Inventory,
  host: string,
  { vni, mac, ip, port }: Pick<ClaimFrame, "vni" | "mac" | "ip" | "port">,
): Attachment | undefined {
  const network = findKnownNetwork(state, host, vni);
  const found = network && state.findByMac(network.name, mac);
  if (!found || found.vm.host !== host || !movableIps(found.interface).includes(ip)) return undefined;
  return portOf(state, found) === port ? found : undefined;
}

function portOf(state: Inventory, { interface: { parent, port } }: Attachment): string | undefined {
  return parent === undefined ? port : state.findInterface(parent)?.interface.port;
}

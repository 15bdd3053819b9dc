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

type ClaimFrame = Extract<AgentFrame, { type: "claim" }>;

export type ClaimResult = "moved" | "kept" | ClaimRefusal;

export interface TakeoversDeps {
  readonly committer: Pick<Committer, "current" | "mutate">;
  readonly metrics: Pick<Metrics, "claimed">;
  /** Conditions of the host may have changed. */
  readonly update: (host: string) => void;
  readonly log: FastifyBaseLogger;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export class Takeovers {
  private readonly moves = new AddressMoves();

  constructor(private readonly deps: TakeoversDeps) {}

  /** @param host whose agent it is from */
  async claim(host: string, frame: ClaimFrame): Promise<ClaimResult> {
    const result = await this.decide(host, frame);
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

  /** Addresses of VMs on the host that are kept there because they moved too often. */
  seenOn(host: string): SeenCondition[] {
    return this.frozen().flatMap(({ network, ip, owner: { vm, interface: own } }): SeenCondition[] => {
      if (vm.host !== host || !movableIps(own).includes(ip)) return [];
      const values = { ip, moves: String(flapping.moves), seconds: String(flapping.withinMs / 1_000) };
      const about = { vni: network.vni, network, vm: vm.name };
      return [{ kind: "address-frozen", reason: "flapping", values, ...about }];
    });
  }

  /** Where frozen addresses are: their VMs may have moved. */
  hostsWithFrozen(): ReadonlySet<string> {
    return new Set(this.frozen().map(({ owner }) => owner.vm.host));
  }

  /** Frozen addresses that a VM has. */
  private frozen(): { readonly network: Network; readonly ip: IpAddress; readonly owner: Attachment }[] {
    const { current } = this.deps.committer;
    return this.moves.frozen().flatMap((address) => {
      const [vni = "", ip = ""] = address.split(" ");
      const network = current.findNetworkByVni(Number(vni) as Vni);
      const owner = network && current.findByIp(network.name, ip as IpAddress);
      return network && owner ? [{ network, ip: ip as IpAddress, owner }] : [];
    });
  }

  private async decide(host: string, { vni, mac, ip, port, agoMs, ifFree }: ClaimFrame): Promise<ClaimResult> {
    const { committer, nowMs, log } = this.deps;
    const taker = findTaker(committer.current, host, { vni, mac, ip, port });
    if (!taker) return "not-allowed";
    const { vm, interface: own } = taker;
    const owner = committer.current.findByIp(own.network, ip);
    if (owner && isSame(owner, taker)) return "kept";
    if (owner && ifFree) return "overtaken";
    const address = addressOf(vni, ip);
    if (this.moves.isFrozen(address)) return "frozen";
    if ((this.moves.lastMoveMs(address) ?? Number.NEGATIVE_INFINITY) > nowMs() - agoMs) return "overtaken";
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
    if (owner && this.moves.moved(address, nowMs())) {
      this.deps.update(host);
      this.deps.update(owner.vm.host);
    }
    return "moved";
  }
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
  const { parent } = found.interface;
  const registered = parent === undefined ? found.interface.port : state.findInterface(parent)?.interface.port;
  return registered === port ? found : undefined;
}

// The routes from this host's tunnel end to those of other hosts: where tunnelled frames leave, and how large they may be.
import { Slices } from "../../../common/cooperative.ts";
import type { VtepAddress } from "../../../schema/address/index.ts";
import { decodeRoute, encodeRouteGet, RTM_GETROUTE } from "../codec/route-codec.ts";
import type { RequestSocket } from "../sockets/request-socket.ts";
import type { Hop, LocalVtep } from "./device-fit.ts";
import { Links } from "./links.ts";

/** Why no packet leaves for an address. */
export type NoRoute = "no-route" | "blackhole" | "unreachable" | "prohibited" | "own";

export type Route =
  | { readonly kind: "found"; readonly hops: readonly Hop[] }
  | { readonly kind: "none"; readonly reason: NoRoute };

/** Of fib_props in net/ipv4/fib_semantics.c, and fib6_prop in net/ipv6/route.c; also of a rule with that action. */
const reasons: Readonly<Record<number, NoRoute>> = {
  13: "prohibited",
  22: "blackhole",
  101: "no-route",
  113: "unreachable",
};

export class Routes {
  private readonly links: Links;
  private readonly turns = new Slices(1, true);

  constructor(private readonly socket: RequestSocket) {
    this.links = new Links(socket);
  }

  /** Whether routes can be asked for: without its source address the kernel refuses as it does for a blackhole. */
  async canAsk({ vtep }: LocalVtep): Promise<boolean> {
    const underlay = await this.links.findByAddress(vtep);
    return underlay?.up === true && underlay.unusable === undefined;
  }

  /** @returns by address; without those for which the kernel gave no clear answer */
  async find(
    vteps: Iterable<VtepAddress>,
    { vtep: from, vtepPort: port }: LocalVtep,
  ): Promise<Map<VtepAddress, Route>> {
    const links = new Map<number, Promise<Hop | undefined>>();
    const found = new Map<VtepAddress, Route>();
    for (const to of vteps) {
      if (this.turns.over) await this.turns.next();
      const answer = await this.socket.ask(RTM_GETROUTE, encodeRouteGet({ to, from, port }));
      if ("errno" in answer) {
        const reason = reasons[answer.errno];
        if (reason) found.set(to, { kind: "none", reason });
        continue;
      }
      const route = decodeRoute(answer);
      if (route?.isLocal) found.set(to, { kind: "none", reason: "own" });
      else if (route) {
        const hops: Hop[] = [];
        for (const ifindex of route.hops) {
          const known = links.get(ifindex) ?? this.hop(ifindex);
          links.set(ifindex, known);
          const hop = await known;
          if (hop) hops.push({ ...hop, mtu: Math.min(hop.mtu, route.mtu ?? hop.mtu) });
        }
        if (hops.length > 0) found.set(to, { kind: "found", hops });
      }
    }
    return found;
  }

  private async hop(ifindex: number): Promise<Hop | undefined> {
    const link = await this.links.find({ ifindex });
    return link && { device: link.name, mtu: link.mtu };
  }
}

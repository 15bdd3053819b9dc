// The tables of a network on a host, as iproute2 shows them: another reader than the agent's own.
import { broadcastMac } from "../lab/frames.ts";
import type { Host } from "../lab/host.ts";
import type { Dump } from "./truth.ts";

interface ShownNeighbour {
  readonly dst: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

interface ShownFdb {
  readonly mac: string;
  readonly dst?: string;
  readonly flags?: readonly string[];
  readonly master?: string;
}

const nothing: Dump = { neighbours: [], tunnel: [], bridge: [] };

/** Without destinations of broadcasts: they belong to no VM. Empty where the host has no device of that network. */
export async function dumpOf(host: Host, vni: number): Promise<Dump> {
  const device = `nmv${vni}`;
  if (!host.interfaces().includes(device)) return nothing;
  const [neighbours, fdb] = await Promise.all([
    host.exec(["ip", "-j", "neigh", "show", "dev", device]),
    host.exec(["bridge", "-j", "fdb", "show", "dev", device]),
  ]);
  const entries = (JSON.parse(fdb || "[]") as ShownFdb[]).filter(
    ({ mac, flags = [] }) => flags.includes("extern_learn") && mac !== broadcastMac,
  );
  return {
    neighbours: (JSON.parse(neighbours || "[]") as ShownNeighbour[]).map(({ dst, lladdr = "", state = [] }) => ({
      ip: dst,
      mac: lladdr,
      state: state.join(),
    })),
    tunnel: entries.flatMap(({ mac, dst }) => (dst === undefined ? [] : { mac, vtep: dst })),
    bridge: entries.flatMap(({ mac, dst }) => (dst === undefined ? { mac } : [])),
  };
}

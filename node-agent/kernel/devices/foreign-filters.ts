// Filters of traffic control on a tunnel device, where nearmiss has none, and programs that are attached by tcx (Linux 6.6), which do the same.
import { encodeFilterDump, isFilter, RTM_GETTFILTER } from "../codec/traffic-control.ts";
import { countTcx } from "../sockets/bpf-programs.ts";
import type { RequestSocket } from "../sockets/request-socket.ts";

/** @throws NetlinkError */
export async function isFiltered(
  socket: Pick<RequestSocket, "dump">,
  { ifindex }: { readonly ifindex: number },
): Promise<boolean> {
  if (countTcx(ifindex) > 0) return true;
  for (const way of ["ingress", "egress"] as const) {
    const messages = await socket.dump("list filters", RTM_GETTFILTER, encodeFilterDump(ifindex, way));
    if (messages.some(isFilter)) return true;
  }
  return false;
}

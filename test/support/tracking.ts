// The kernel's table of tracked connections, filled and emptied.
import { AF_INET } from "../../node-agent/kernel/codec/neighbour-codec.ts";
import { closeSocket, openSocket, sendTo } from "../../node-agent/kernel/sockets/libc.ts";
import { RequestSocket } from "../../node-agent/kernel/sockets/request-socket.ts";
import { inNamespace, type Namespace } from "../../testkit/lab/namespace.ts";

const SOCK_DGRAM = 2;
const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_CTNETLINK = 1 << 8;
const IPCTNL_MSG_CT_DELETE = NFNL_SUBSYS_CTNETLINK | 2;
const NFT_TABLE = "table inet track";

/** Flows of one packet each to nowhere, as many as the kernel's table has room for in a namespace, but a few. @returns what empties it */
export async function fillTracking(where: Namespace): Promise<() => Promise<void>> {
  const room = Number(await where.exec(["cat", "/proc/sys/net/netfilter/nf_conntrack_max"]));
  const count = Math.ceil(0.96 * room);
  // Sending takes seconds, and none may end in that time.
  where.sysctl("netfilter/nf_conntrack_udp_timeout", 600);
  await where.ip(
    "link add fill type veth peer name filled",
    "address add 198.51.100.1/24 dev fill",
    "link set fill up",
    "link set filled up",
  );
  const nft = `${NFT_TABLE} { chain out { type filter hook output priority 0; ct state new accept; }; }`;
  await where.exec(["nft", nft]);
  const ports = 60_000;
  const hosts = Math.ceil(count / ports);
  for (let host = 0; host < hosts; host++)
    await where.ip(`neigh add 198.51.100.${10 + host} lladdr 02:00:00:00:00:01 dev fill`);
  inNamespace(where.namespace, () => send(count, ports));
  return async () => {
    await where.exec(["nft", `delete ${NFT_TABLE}`]);
    await where.ip("link del fill");
    const socket = inNamespace(where.namespace, () => new RequestSocket(NETLINK_NETFILTER));
    try {
      // Without naming one: all.
      await socket.request("forgetting all flows", { type: IPCTNL_MSG_CT_DELETE, flags: 0, payload: Buffer.alloc(4) });
    } finally {
      socket.close();
    }
  };
}

function send(count: number, ports: number): void {
  const socket = openSocket(AF_INET, SOCK_DGRAM, 0);
  const address = Buffer.from([AF_INET, 0, 0, 0, 198, 51, 100, 0, ...Buffer.alloc(8)]);
  const payload = Buffer.alloc(1);
  for (let at = 0; at < count; at++) {
    address.writeUInt16BE(1_024 + (at % ports), 2);
    address.writeUInt8(10 + Math.floor(at / ports), 7);
    sendTo(socket, payload, address);
  }
  closeSocket(socket);
}

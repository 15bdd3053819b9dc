// A guest without a registered port asks from ever new MACs, faster than the agent reads. There is no single guest that
// scans, and all networks of the host share one queue: another tenant's guest must get its answers as usual.
import { createInterface } from "node:readline";
import { beforeAll, expect, test } from "vitest";
import { arp, etherTypes, readEthernet } from "../../testkit/lab/frames.ts";
import type { Guest } from "../../testkit/lab/guest.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { type Captured, openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { builtFile } from "../../testkit/lab/programs.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";

const liarMac = "52:54:00:00:00:01";
const honestMac = "52:54:00:00:01:01";
const own = "10.20.0.1";
/** First packets in each phase of each storm. */
const each = 20;
const remoteIp = (n: number): string => `10.20.1.${n}`;

describeKernel("a storm of questions from one guest", () => {
  const it = cluster({ hosts: 2, underlay: 4 });
  let a: Host;
  let liar: Guest;
  let socket: PacketSocket;
  let next = 1;

  beforeAll(async () => {
    a = it.lab.host("a");
    for (const [name, vni] of [
      ["blue", 100],
      ["red", 200],
    ] as const) {
      await it.network(name, vni, { subnets: ["10.20.0.0/16", "fd00:20::/64"] });
    }
    liar = await it.vm("liar", "a", "blue", 100, liarMac, [`${own}/16`, "fd00:20::1/64"]);
    const honest = await it.vm("honest", "a", "red", 200, honestMac, [`${own}/16`]);
    // More than all phases ask for: each address is asked for once.
    for (let n = 1; n <= 8 * each; n++) {
      const mac = `52:54:00:00:02:${n.toString(16).padStart(2, "0")}`;
      const interfaces = [{ network: "red", mac, ips: [remoteIp(n)] }];
      await it.call("POST", "/v1/vms", { name: `remote-${n}`, host: "b", interfaces });
    }
    // Addresses that a bridge learns are another issue, with its own limits.
    await a.exec(["bridge", "link", "set", "dev", liar.port, "learning", "off"]);
    socket = await openPacketSocket(honest, "eth0");
  });

  /**
   * The honest guest asks once for an address that its host has not cached, and waits until the time of its own next
   * attempt.
   */
  async function isAnswered(ip: string): Promise<boolean> {
    const bytes = Buffer.from(ip.split(".").map(Number));
    socket.clear();
    socket.inject(arp({ operation: "request", senderMac: honestMac, senderIp: own, targetIp: ip }));
    const isReply = ({ bytes: frame, outgoing }: Captured): boolean => {
      const { type, payload } = readEthernet(frame);
      return !outgoing && type === etherTypes.arp && payload[7] === 2 && payload.subarray(14, 18).equals(bytes);
    };
    const retryMs = 1_000;
    return waitFor(() => socket.frames().some(isReply), { what: "a reply", deadlineMs: retryMs, everyMs: 1 }).then(
      () => true,
      () => false,
    );
  }

  test.each(["arp", "ns", "unicast"])("of kind %s does not affect another tenant's first packets", async (kind) => {
    const ifindex = String(await liar.ifindexOf("eth0"));
    const child = liar.spawn([
      process.execPath,
      builtFile("testkit", "lab", "asker-storm.js"),
      ifindex,
      kind,
      "random",
    ]);
    child.stderr.pipe(process.stderr);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe("ready");
    const found = a.agent.nextLog(
      ({ msg, vni }) => msg.startsWith("network crowds out others") && vni === 100,
      "its end",
    );
    child.kill("SIGUSR2");
    await found;
    // Questions while the queue was full are lost, and asked again, as a guest does.
    const again = remoteIp(next++);
    await waitFor(() => isAnswered(again), { what: "the network to be left out" });
    for (let n = 0; n < each; n++)
      expect(await isAnswered(remoteIp(next++)), `during the storm, question ${n}`).toBe(true);
    child.kill("SIGUSR1");
    const [questions = 0] = String((await lines.next()).value)
      .split(" ")
      .map(Number);
    expect(questions).toBeGreaterThan(8_192);
    child.stdin.end();
    for (let n = 0; n < each; n++) expect(await isAnswered(remoteIp(next++)), `after it, question ${n}`).toBe(true);
  });
});

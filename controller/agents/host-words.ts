// Translates texts of hosts into the controller's own words. An agent sends sentences; for each sentence in the table below the values
// are extracted, checked, and inserted again. Other sentences are not shown: operators never read a text, or run a command, that a host
// has made up. (node-agent/ creates the sentences; test/unit/host-words.test.ts compares them with this table.)
import { isIP } from "node:net";
import { defined } from "../../common/defined.ts";
import { AddressError, parseIp, parseMac } from "../../schema/address/index.ts";
import type { FindingKind, ReportedFinding } from "../../schema/agent/index.ts";
import { namePattern } from "../../schema/plain/index.ts";
import { earlierPhrases } from "./earlier-phrases.ts";

/** In a network that the host has; a sentence about another says nothing. */
export type IsKnownNetwork = (name: string) => boolean;

/** For a problem that is not in the table: of a newer agent, or of a rogue one. */
export const unknownProblem =
  "the agent reports a problem that this controller does not know: run `nearmiss agent status` on the host";

interface Value {
  readonly pattern: string;
  readonly isValid?: (text: string) => boolean;
}

/**
 * Device names of ordinary systems. The kernel accepts more (dev_valid_name() in net/core/dev.c), also ones that a
 * shell would execute.
 */
const device: Value = { pattern: "[A-Za-z0-9_.@:-]{1,15}" };
const number: Value = { pattern: "\\d{1,16}" };
const values: Readonly<Record<string, Value>> = {
  device,
  number,
  network: { pattern: namePattern.slice(1, -1) },
  ip: { pattern: "[0-9a-f:.]{2,45}", isValid: (text) => isIP(text) !== 0 },
  mac: { pattern: "(?:[0-9a-f]{2}:){5}[0-9a-f]{2}" },
  filter: { pattern: "(?:iptables|ip6tables|arptables)" },
  lost: { pattern: "(?:all IPv4|all IPv6|all ARP)" },
  /** In the format of `nft list chain`: family, table, chain. */
  chain: { pattern: "(?:inet|ip|ip6|arp|bridge) [A-Za-z0-9_.-]{1,32} [A-Za-z0-9_.-]{1,32}" },
  guard: { pattern: "--(?:anti-spoof|underlay-filter)" },
  reasons: { pattern: "(?:[a-z0-9]{1,16}(?:, [a-z0-9]{1,16}){0,15})?" },
  entries: {
    pattern:
      "[a-z]{1,8} [a-z]{1,12} \\d{1,8} [0-9a-f:.]{2,45}(?:, [a-z]{1,8} [a-z]{1,12} \\d{1,8} [0-9a-f:.]{2,45}){0,4}",
  },
  /** `errnoNames` in node-agent/kernel/sockets/request-socket.ts. The kernel's own text beside it is omitted. */
  errno: {
    pattern:
      "(?:EPERM, needs CAP_NET_ADMIN|ENOENT|ENOMEM, the kernel has no memory for it|EBUSY|EEXIST|ENODEV, no such device|EINVAL|" +
      "ENOSPC|EOPNOTSUPP|EAFNOSUPPORT|EADDRINUSE|ENOBUFS, the kernel's table is full|no answer from the kernel|errno \\d{1,5})",
  },
  /** Is read and not shown. Once in a sentence at most, or a crafted text would take its square in time. */
  any: { pattern: "[^\\n]{0,500}" },
  make: {
    pattern:
      "ip link add [A-Za-z0-9_.@:-]{1,15} type vxlan id \\d{1,8} local [0-9a-f:.]{2,45} dstport \\d{1,5} nolearning proxy l2miss l3miss; " +
      "ip link set [A-Za-z0-9_.@:-]{1,15} (?:master [A-Za-z0-9_.@:-]{1,15} )?up",
  },
  misfits: {
    pattern:
      "(?:(?:; )?(?:it has no VNI of its own|it has VNI \\d{1,8}|it is without (?:proxy|l2miss|l3miss)(?: and (?:proxy|l2miss|l3miss)){0,2}|" +
      "it uses UDP port \\d{1,5}, not \\d{1,5}|its tunnel runs over IPv[46], this host's over IPv[46]|" +
      "it has a default destination \\(remote or group\\), which hides every l2miss)){1,5}",
  },
};

/** A sentence, and the shown one if that differs. */
type Sentence = string | readonly [said: string, shown: string];

const kernelRefuses =
  "the kernel refuses what the network needs: {errno}; `nearmiss agent status` on the host says more";

const notCovered = (reason: string): string =>
  "{device}, the bridge of network {network}'s adopted device, is not used: its guests could send into other " +
  `networks through this host (${reason}); load nf_tables (modprobe nf_tables), or let the agent make the bridge ` +
  "(take the adopted device out of --adopt)";

/** Why a network is not ready. */
const obstacles: readonly Sentence[] = [
  "network {network} needs the name {device}, which a device that is not nearmiss's has: " +
    "rename it (ip link set {device} name …) or delete it (ip link del {device})",
  "{device}, adopted for network {network}, is a port of {device}, which is " +
    "not a bridge: take it out (ip link set {device} nomaster), then the agent makes a bridge",
  "{device}, adopted for network {network}, is a port of a device that is gone, which is " +
    "not a bridge: take it out (ip link set {device} nomaster), then the agent makes a bridge",
  "{device} cannot be set up: {device}, a vxlan device with other settings, uses UDP port {number}; " +
    "delete it (ip link del {device}), or register the host with another port",
  "{device} cannot be set up: another program uses UDP port {number} (ss -ulnp sport = :{number}); " +
    "end it, or register the host with another port",
  "{device} vanished while it was set up",
  "{device} is to be adopted for network {network}, but {misfits}; the kernel cannot change that on a live device. " +
    "Make it again: ip link del {device}; {make}",
  "{device}, the device adopted for network {network}, is gone. Make it again: {make}; " +
    "or restart the agent, which then makes a device of its own",
  "network {network} needs a vxlan device of VNI {number}, which {device} has, a device that is not nearmiss's: " +
    "let the agent use it (start it with --adopt {device}), or delete it (ip link del {device})",
  [notCovered("{any}: {errno}"), notCovered("{errno}")],
  notCovered("the kernel has no netfilter"),
  ["{any} ({errno})", kernelRefuses],
  ["{any}: {errno}", kernelRefuses],
];

const missingVtep =
  "no interface of this host has the VTEP address {ip}: packets to it are lost; " +
  "add it (ip address add {ip}/… dev …), or register the host with the address that it has";
const tooLargeMtu =
  "network {network}: MTU {number} does not fit the underlay's {number}; " +
  "set the network's MTU to {number} or less, or raise the underlay's to {number} (ip link set {device} mtu {number})";
const secondDevice = [
  "only one of the two can be up, and each takes the other's place",
  "frames that are sent to it never reach the guests here",
].map(
  (effect) =>
    `network {network}: {device} is a second vxlan device of VNI {number} beside {device}: ${effect}; delete it (ip link del {device})`,
);
const hostFilter = [
  "bridged frames go through the host's {filter} (net.bridge.bridge-nf-call-{filter} is 1), and chain {chain} drops what no " +
    "rule accepts: between guests here {lost} is lost; sysctl -w net.bridge.bridge-nf-call-{filter}=0, or let the bridges pass " +
    "({filter} -I FORWARD -i nmb+ -o nmb+ -j ACCEPT)",
  "the bridge {device} sends its frames through the host's {filter}, and chain {chain} drops what no rule accepts: " +
    "between guests here {lost} is lost; ip link set {device} type bridge nf_call_{filter} 0",
];
/** Why the kernel does not take an entry. */
const entryRefusals: readonly Sentence[] = [
  "{errno}",
  ["{any} ({errno})", "{errno}"],
  "the kernel said nothing",
  "there is no vxlan device for VNI {number}",
];

/** What a registered port is instead of the guest's. */
const wrongPorts: readonly string[] = [
  "is a device of nearmiss, not of a guest",
  "is a port of {device}",
  "is a port of {device}, not of the network's bridge {device}",
  "is the host's own device in {device}",
].map(
  (wrong) =>
    `network {network}: the interface with MAC {mac} is registered for the port {device}, which ${wrong}: it is neither guarded ` +
    "nor pinned there; attach the guest's port to the network's bridge, or correct the registration",
);
const hostNotCovered = (reason: string): string =>
  "guests can send to this host from the moment in which their port is attached until the agent has closed it, a few " +
  `milliseconds later: ${reason}; load nf_tables (modprobe nf_tables)`;
const prefixed = (prefix: string, sentences: readonly Sentence[]): Sentence[] =>
  sentences.map((each) =>
    typeof each === "string" ? `${prefix}${each}` : ([`${prefix}${each[0]}`, `${prefix}${each[1]}`] as const),
  );

const problems: readonly Sentence[] = [
  missingVtep,
  tooLargeMtu,
  ...secondDevice,
  ...hostFilter,
  "VNI {number}: the adopted device {device} has entries of an earlier agent, and the controller has no VM of it on " +
    "this host: they stay; delete those with proto 78 (ip neigh show dev {device}) and extern_learn (bridge fdb show dev {device})",
  "VNI {number} has devices here that were made for another store of the controller, and this one has no VM of it on " +
    "this host: they stay; remove them with ip link del {device}; ip link del {device}",
  [
    "the rules that {guard} asks for are not in place: {any}",
    "the rules that {guard} asks for are not in place: `nearmiss agent status` on the host says why",
  ],
  ...prefixed("network {network}: the kernel does not take all entries: ", entryRefusals),
  "network {network}: its addresses do not fit into the {number} MiB for whole networks, so it is on demand here; " +
    "raise --max-replica-memory, or set the network's knowledge to on-demand",
  ...prefixed("network {network}: ", obstacles),
  ...wrongPorts,
  [hostNotCovered("{any}: {errno}"), hostNotCovered("{errno}")],
  hostNotCovered("the kernel has no netfilter"),
];

const details: Readonly<Partial<Record<FindingKind, readonly Sentence[]>>> = {
  theft: ["restored from the port with ifindex {number}"],
  "drift-repaired": ["{entries}"],
  "table-full": entryRefusals,
  "room-short": ["{number} addresses cached; the limits are {number} per network, {number} per host"],
  "unregistered-guest": ["it sends on port {device}"],
  "guest-never-seen": [
    "it has sent no traffic since it was registered",
    "its port {device} is not a port of the bridge",
    "its port {device} has no carrier",
  ],
  "address-conflict": ["a VM of this host", "a VM of another host"].map(
    (where) => `{mac} on this host uses {ip}, which is registered for {mac}, ${where}`,
  ),
  "network-not-ready": obstacles,
  "vtep-missing": [missingVtep],
  "mtu-too-large": [tooLargeMtu],
  "second-device": secondDevice,
  "host-filter": hostFilter,
  spoofed: ["{number} frames: {reasons}"],
  stranger: [
    "tunnelled frames from an address that is not a VTEP of the network's hosts",
    "tunnelled frames from a guest",
  ],
};
/** Of any kind. */
const others: readonly Sentence[] = ["more than {number} subjects: the rest together"];

const oneOf =
  (...texts: readonly string[]) =>
  (text: string) =>
    texts.includes(text);
const isDevice = (text: string) => new RegExp(`^${device.pattern}$`).test(text);
const isMac = (text: string) => parses(text, parseMac);
const isIpAddress = (text: string) => parses(text, parseIp);

/** Absent: findings of that kind have no subject. */
const subjects: Readonly<Partial<Record<FindingKind, (text: string) => boolean>>> = {
  scan: isMac,
  theft: isMac,
  "drift-repaired": oneOf("entry", "device", "overrun", "timer", "anti-spoof rules", "underlay rules", "host rules"),
  overrun: oneOf("misses", "changes"),
  "unregistered-guest": isMac,
  "guest-never-seen": isMac,
  "address-conflict": isIpAddress,
  "vtep-missing": isIpAddress,
  "mtu-too-large": isDevice,
  "second-device": isDevice,
  "host-filter": oneOf("iptables", "ip6tables", "arptables"),
  spoofed: isDevice,
  stranger: oneOf("sender", "guest"),
  "mac-flood": isDevice,
};

/** The parts of a report that operators may read: subject and detail, if they match the table. */
export function wordsOf(
  { kind, subject, detail }: ReportedFinding,
  isKnown: IsKnownNetwork,
): Pick<ReportedFinding, "subject" | "detail"> {
  const isSubject = subject !== undefined && subjects[kind]?.(subject);
  const told = detail === undefined ? undefined : findSentence(readersOf(kind), detail, isKnown);
  return { ...(isSubject ? { subject } : {}), ...defined({ detail: told }) };
}

/** A problem that a host has, in the controller's words. */
export function problemOf(text: string, isKnown: IsKnownNetwork): string {
  return findSentence(problemReaders, text, isKnown) ?? unknownProblem;
}

interface Reader {
  readonly pattern: RegExp;
  readonly kinds: readonly string[];
  readonly shown: string;
}

function findSentence(readers: readonly Reader[], text: string, isKnown: IsKnownNetwork): string | undefined {
  for (const { pattern, kinds, shown } of readers) {
    const found = pattern.exec(text)?.slice(1);
    if (!found) continue;
    const read = found.map((value, i) => ({ kind: kinds[i] ?? "", value }));
    if (!read.every(({ kind, value }) => values[kind]?.isValid?.(value) ?? true)) continue;
    if (!read.every(({ kind, value }) => kind !== "network" || isKnown(value))) continue;
    return put(shown, read);
  }
  return undefined;
}

/** Each value in the place of its kind, in their order. */
function put(shown: string, read: readonly { readonly kind: string; readonly value: string }[]): string {
  const left = [...read];
  return shown.replace(/\{(\w+)\}/g, (_all, kind: string) => {
    const at = left.findIndex((each) => each.kind === kind);
    return at < 0 ? "" : (left.splice(at, 1)[0]?.value ?? "");
  });
}

/** Of the current sentence and of an earlier agent's: both are shown in the current wording. */
function readersFor(sentence: Sentence): Reader[] {
  const [said, shown] = typeof sentence === "string" ? ([sentence, sentence] as const) : sentence;
  const earlier = earlierPhrases.reduce((text, [now, before]) => text.replaceAll(now, before), said);
  return earlier === said ? [readerOf(said, shown)] : [readerOf(said, shown), readerOf(earlier, shown)];
}

function readerOf(said: string, shown: string): Reader {
  const kinds: string[] = [];
  const pattern = said.split(/\{(\w+)\}/).map((part, i) => {
    if (i % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    kinds.push(part);
    return `(${values[part]?.pattern})`;
  });
  return { pattern: new RegExp(`^${pattern.join("")}$`), kinds, shown };
}

const problemReaders = problems.flatMap(readersFor);
const detailReaders = new Map<FindingKind, readonly Reader[]>();

function readersOf(kind: FindingKind): readonly Reader[] {
  const readers = detailReaders.get(kind) ?? [...(details[kind] ?? []), ...others].flatMap(readersFor);
  detailReaders.set(kind, readers);
  return readers;
}

function parses(text: string, parse: (text: string) => string): boolean {
  try {
    return parse(text) === text;
  } catch (error) {
    if (error instanceof AddressError) return false;
    throw error;
  }
}

// Texts of hosts in the controller's own words. Agents of version 1 send sentences about conditions, and all agents send some about
// findings: for each sentence in the tables the values are extracted, checked, and inserted again. Other sentences are not shown.
// (test/unit/host-words.test.ts compares them with what the agent says.)
import { defined } from "../../common/defined.ts";
import {
  allConditionKinds,
  type ConditionFacts,
  conditionKinds,
  type FindingKind,
  type HostConditionKind,
  isConditionValue,
  isHostConditionKind,
  type ReportedFinding,
  withoutPrefix,
} from "../../schema/agent/index.ts";
import type { Network } from "../../schema/rest/index.ts";
import { type IsKnownNetwork, put, type Reader, read, readersFor } from "./host-sentences.ts";

/** A reason of a condition, and the sentence that says it. */
interface Reason {
  readonly kind: HostConditionKind;
  readonly reason: string;
  readonly said: string;
}

/** Of the table of conditions. */
const reasons: readonly Reason[] = (Object.keys(conditionKinds) as HostConditionKind[]).flatMap((kind) =>
  Object.entries(allConditionKinds[kind].texts).map(([reason, text]) => ({
    kind,
    reason,
    said: text.replace("¦", ""),
  })),
);

/** What agents say in version 1 with more in it than is shown: the kernel's own text. */
const longerReasons: readonly Reason[] = [
  ...reasons
    .filter(({ kind, reason }) => reason === "not-covered" || (kind === "host-open" && reason === "refused"))
    .map((each) => ({ ...each, said: each.said.replace("{errno}", "{any}: {errno}") })),
  {
    kind: "entries-refused",
    reason: "refused",
    said: "network {network}: the kernel does not take all entries: {any} ({errno})",
  },
  { kind: "rules-missing", reason: "refused", said: "the rules that {guard} asks for are not in place: {any}" },
  { kind: "network-not-ready", reason: "refused", said: "network {network}: {any} ({errno})" },
  { kind: "network-not-ready", reason: "refused", said: "network {network}: {any}: {errno}" },
];

/** The longer ones last, since they accept more. */
const reasonReaders = [...reasons, ...longerReasons].flatMap((each) =>
  readersFor(each.said).map((reader) => ({ ...each, reader })),
);

/**
 * A condition of a host that sends sentences. @param findNetwork a network that the host may know
 * @returns undefined for a sentence that is not in the table: of a newer agent, or of a rogue one
 */
export function conditionIn(
  text: string,
  findNetwork: (name: string) => Pick<Network, "vni"> | undefined,
): ConditionFacts<HostConditionKind> | undefined {
  for (const { kind, reason, reader } of reasonReaders) {
    const found = read(reader, text, (name) => findNetwork(name) !== undefined);
    if (!found) continue;
    const { network, ...values } = found;
    const known = network === undefined ? undefined : findNetwork(network);
    return { kind, reason, ...(known ? { vni: known.vni } : {}), values };
  }
  return undefined;
}

/** A sentence, and the shown one if that differs. */
type Sentence = string | readonly [said: string, shown: string];

/** Why the kernel does not take an entry. */
const entryRefusals: readonly Sentence[] = [
  "{errno}",
  ["{any} ({errno})", "{errno}"],
  "the kernel said nothing",
  "there is no vxlan device for VNI {vni:number}",
];

const details: Readonly<Partial<Record<FindingKind, readonly Sentence[]>>> = {
  theft: ["restored from the port with ifindex {ifindex:number}"],
  "drift-repaired": ["{entries}"],
  "table-full": entryRefusals,
  "room-short": [
    "{cached:number} addresses cached; the limits are {perNetwork:number} per network, {perHost:number} per host",
  ],
  "unregistered-guest": ["it sends on port {device}"],
  "guest-never-seen": [
    "it has sent no traffic since it was registered",
    "its port {device} is not a port of the bridge",
    "its port {device} has no carrier",
  ],
  "address-conflict": ["a VM of this host", "a VM of another host"].map(
    (where) => `{mac} on this host uses {ip}, which is registered for {owner:mac}, ${where}`,
  ),
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
const isDevice = (text: string) => isConditionValue("device", text);
const isMac = (text: string) => isConditionValue("mac", text);
const isIpAddress = (text: string) => isConditionValue("ip", text);

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
  const shown = detail === undefined ? undefined : findDetail(kind, detail, isKnown);
  return { ...(isSubject ? { subject } : {}), ...defined({ detail: shown }) };
}

function findDetail(kind: FindingKind, text: string, isKnown: IsKnownNetwork): string | undefined {
  for (const { reader, shown } of detailReadersOf(kind)) {
    const values = read(reader, text, isKnown);
    if (values) return put(shown, values);
  }
  return undefined;
}

interface DetailReader {
  readonly reader: Reader;
  readonly shown: string;
}

const detailReaders = new Map<FindingKind, readonly DetailReader[]>();

function detailReadersOf(kind: FindingKind): readonly DetailReader[] {
  const known = detailReaders.get(kind);
  if (known) return known;
  const own: Sentence[] = [...(details[kind] ?? (isHostConditionKind(kind) ? sentencesOf(kind) : [])), ...others];
  const readers = own.flatMap((sentence) => {
    const [said, shown] = typeof sentence === "string" ? ([sentence, sentence] as const) : sentence;
    return readersFor(said).map((reader) => ({ reader, shown }));
  });
  detailReaders.set(kind, readers);
  return readers;
}

/** A condition's reasons as agents say them in a report: without the network before it, which has a field of its own. */
function sentencesOf(kind: HostConditionKind): Sentence[] {
  const { texts } = allConditionKinds[kind];
  return [...reasons, ...longerReasons]
    .filter((each) => each.kind === kind)
    .flatMap(({ said, reason }): Sentence[] => {
      const shown = (texts[reason] ?? said).replace("¦", "");
      return said === withoutPrefix(said)
        ? [[said, shown]]
        : [
            [withoutPrefix(said), withoutPrefix(shown)],
            [said, shown],
          ];
    });
}

// Records: answers as version 2 of the agent channel writes them. A record is the same for every host that may know its network, so it
// does not say whether its VM is the reader's; the bridge ports of the reader's own VMs stand beside the records.
import {
  type Answer,
  type Binding,
  type BindingKey,
  parseIp,
  parseMac,
  parseRevision,
  parseSubnet,
  parseVni,
  parseVtep,
  type Revision,
} from "../address/index.ts";
import { type Static, Type } from "../typebox.ts";
import { FrameError } from "./protocol.ts";

/** Without `host` a tombstone: nothing is registered under its `ip`, or without that under its `mac`. */
export const WireRecord = Type.Object({
  vni: Type.Integer(),
  ip: Type.Optional(Type.String()),
  mac: Type.Optional(Type.String()),
  rev: Type.Optional(Type.Integer()),
  host: Type.Optional(Type.String()),
  vtep: Type.Optional(Type.String()),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
  router: Type.Optional(Type.Literal(true)),
});
/** Addresses that a guest may take, and prefixes that it may send from. */
export const WireAllowed = Type.Array(Type.String(), { maxItems: 64 });
/** The bridge port of an interface of the reading host. */
export const WirePort = Type.Object({
  vni: Type.Integer(),
  mac: Type.String(),
  port: Type.String(),
  allowed: Type.Optional(WireAllowed),
});

/** All fields are of canonical texts that need no escapes in JSON, so it is put together three times as fast as by `JSON.stringify`. */
export function recordText({ key, revision, binding }: Answer): string {
  const address = key.kind === "ip" ? `"ip":"${key.ip}"` : `"mac":"${key.mac}"`;
  if (!binding) return `{"vni":${key.vni},${address}}`;
  const { mac, host, vtep, vtepPort, router } = binding;
  const of = key.kind === "ip" ? `${address},"mac":"${mac}"` : address;
  const routes = router ? ',"router":true' : "";
  return `{"vni":${key.vni},${of},"rev":${revision},"host":"${host}","vtep":"${vtep}","port":${vtepPort}${routes}}`;
}

/** What is beside a record for the host that the answer is for, if there is anything. */
export function portText({ key, binding }: Answer): string | undefined {
  if (binding?.guestPort === undefined) return undefined;
  const { mac, guestPort: port, allowed } = binding;
  return JSON.stringify({ vni: key.vni, mac, port, ...(allowed ? { allowed } : {}) });
}

/**
 * @param asOf of their frame
 * @param reader the host that reads them
 * @throws AddressError, FrameError
 */
export function parseRecords(
  { records, ports = [] }: { readonly records: readonly WireRecord[]; readonly ports?: readonly WirePort[] },
  asOf: Revision,
  reader: string,
): Answer[] {
  const portOf = new Map(ports.map((each) => [`${each.vni} ${each.mac}`, each]));
  return records.map((record): Answer => {
    const { vni, mac = "", rev, host, vtep = "", port, router } = record;
    if (host === undefined) return { key: keyOf(record), revision: asOf, binding: null };
    if (rev === undefined || port === undefined) throw new FrameError("a record with a host has `rev` and `port`");
    const local = host === reader;
    const guestPort = local ? portOf.get(`${vni} ${mac}`) : undefined;
    return {
      key: keyOf(record),
      revision: parseRevision(rev),
      binding: {
        mac: parseMac(mac),
        host,
        vtep: parseVtep(vtep),
        vtepPort: port,
        ...(local ? { local } : {}),
        ...(router ? { router } : {}),
        ...(guestPort === undefined ? {} : { guestPort: guestPort.port, ...parseAllowedWire(guestPort.allowed) }),
      },
    };
  });
}

/** @throws AddressError */
export function parseAllowedWire(allowed: readonly string[] | undefined): Pick<Binding, "allowed"> {
  return allowed ? { allowed: allowed.map((ip) => (ip.includes("/") ? parseSubnet(ip) : parseIp(ip))) } : {};
}

type WireRecord = Static<typeof WireRecord>;
type WirePort = Static<typeof WirePort>;

function keyOf({ vni, ip, mac }: WireRecord): BindingKey {
  return ip === undefined
    ? { kind: "mac", vni: parseVni(vni), mac: parseMac(mac ?? "") }
    : { kind: "ip", vni: parseVni(vni), ip: parseIp(ip) };
}

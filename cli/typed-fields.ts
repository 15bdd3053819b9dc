// Fields of requests as the user typed them: flags, words of an interface, arguments; and sentences of the controller that
// speak of requests, in words of commands. Pure.
import type { ProblemFault } from "../schema/plain/index.ts";

/** By the field of a body or query. */
const flags: Readonly<Record<string, string>> = {
  name: "the name",
  vni: "--vni",
  subnets: "--subnet",
  mtu: "--mtu",
  gateways: "--gateway",
  reserved: "--reserved",
  knowledge: "--knowledge",
  broadcast: "--broadcast",
  quarantineSeconds: "--quarantine",
  vtep: "--vtep",
  port: "--port",
  host: "--host",
  network: "--network",
  ownerNetworks: "--owner-network",
  description: "--description",
  timeoutMs: "--timeout",
  ttlSeconds: "--ttl",
  label: "--label",
  ip: "--ip",
  mac: "--mac",
  to: "--to",
  since: "--since",
  type: "--type",
  note: "--note",
  role: "--role",
  expires: "--expires",
  networks: "--network",
  hosts: "--host",
  id: "the ID",
};

const quotas: Readonly<Record<string, string>> = {
  vms: "--max-vms",
  vmsPerHost: "--max-vms-per-host",
  addresses: "--max-addresses",
  hosts: "--max-hosts",
};

/** Words of `--interface`. */
const interfaceWords: Readonly<Record<string, string>> = { ips: "ip" };

/** A JSON Pointer (RFC 6901) in the words of the command line. "" is the request as a whole. */
export function typedField(pointer: string): string {
  const [field = "", ...rest] = pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  if (field === "") return "the request";
  if (field === "interfaces") {
    const [which, word] = rest;
    const at = which === undefined ? "" : /^\d+$/.test(which) ? ` ${Number(which) + 1}` : ` ${which}`;
    return `--interface${at}${word === undefined ? "" : ` ${interfaceWords[word] ?? word}=`}`;
  }
  if (field === "labels") return rest[0] === undefined ? "--label" : `--label ${rest[0]}=`;
  if (field === "quota") return quotas[rest[0] ?? ""] ?? "the quota";
  return flags[field] ?? field;
}

/** The reason of a refusal. One that begins with a field, such as `to: `, begins with its flag. */
export function typedDetail(detail: string): string {
  return plainDetail(detail).replace(/^([a-zA-Z]+): /, (start, field: string) =>
    Object.hasOwn(flags, field) ? `${flags[field]}: ` : start,
  );
}

/** A fault as a sentence. Of an import: with its line, and fields as they are in the file. */
export function typedFault({ pointer, detail, line }: ProblemFault): string {
  const text = plainDetail(detail);
  if (line === undefined) return `${typedField(pointer)} ${text}`;
  const field = pointer.slice(1).replaceAll("/", ".");
  return `line ${line}:${field === "" ? "" : ` ${field}`} ${text}`;
}

/** Sentences for programs, in words of commands. */
const plain: readonly (readonly [RegExp, string])[] = [
  [/^must match pattern .*$/s, "has characters or a form that are not allowed"],
  [/: change it with PUT or PATCH$/, ""],
  [/but If-Match wants (revision )?/, "but --if-revision wants "],
  [/ \(PATCH \/v1\/hosts\/(\S+) \{"down": true\}\)/, ": `nearmiss host down $1`"],
  [/ \(PATCH \/v1\/hosts\/(\S+) \{"down": false\}\)/, ": `nearmiss host up $1`"],
  [/start from GET \/v1\/export/, "start again with `nearmiss export`"],
  [/register it first \(PUT \/v1\/hosts\/…\)/, "register it first: `nearmiss host create --help`"],
  [/^send a token: `Authorization: Bearer nm_…`$/, "the controller requires a token, and none was sent"],
  [/must NOT have (fewer|more) than (\d+) (characters|items)/, "must not have $1 than $2 $3"],
];

export function plainDetail(detail: string): string {
  return plain.reduce((text, [form, words]) => text.replace(form, words), detail);
}

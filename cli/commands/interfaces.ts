// A VM's interface as one word on a command line: `network=blue,ip=10.20.1.1,mac=52:54:00:00:00:01,port=tap0`, or with the
// parent of a nested guest in the place of a port: `network=blue,parent=web/eth0`.
import { InvalidArgumentError } from "../../common/commander.ts";

export const interfaceHelp =
  "a network's name, or network=…,name=…,mac=…,ip=…,port=…,parent=VM/INTERFACE,router,allowed=… (ip and allowed may be repeated; ip=none: no address)";

/** As REST takes it. Addresses that are absent are assigned. */
export interface InterfaceWords {
  readonly name?: string;
  readonly network?: string;
  readonly mac?: string | null;
  readonly ips?: readonly string[] | null;
  readonly port?: string | null;
  readonly parent?: string | null;
  readonly router?: boolean;
  readonly allowedAddresses?: readonly { readonly ip: string }[] | null;
}

/** For an option that may be repeated. @throws InvalidArgumentError */
export function collectNewInterface(text: string, before: readonly InterfaceWords[] = []): readonly InterfaceWords[] {
  const words = parseInterface(text);
  if (words.network === undefined) throw new InvalidArgumentError(`Name its network: network=blue,${text}`);
  for (const key of ["mac", "ips", "port", "parent", "allowedAddresses"] as const) {
    if (words[key] === null) throw new InvalidArgumentError(`Leave ${wordOf[key] ?? key} out instead.`);
  }
  return [...before, words];
}

/** Changes an interface by its name; `auto` assigns a new address, `port=none`, `parent=none` and `allowed=none` remove the field. */
export function collectInterfaceChange(
  text: string,
  before: readonly InterfaceWords[] = [],
): readonly InterfaceWords[] {
  const words = parseInterface(text);
  if (words.name === undefined) throw new InvalidArgumentError(`Name the interface: name=eth0,${text}`);
  return [...before, words];
}

const wordOf: Readonly<Record<string, string>> = { ips: "ip", allowedAddresses: "allowed" };

function parseInterface(text: string): InterfaceWords {
  if (!text.includes("=")) return { network: text };
  const words: Record<string, unknown> = {};
  const ips: string[] = [];
  const allowed: string[] = [];
  for (const part of text.split(",")) {
    const [key = "", ...rest] = part.split("=");
    const value = rest.join("=");
    if (key === "router" && (value === "" || value === "true" || value === "false")) words.router = value !== "false";
    else if (value === "") throw new InvalidArgumentError(`"${part}" is not of the form key=value.`);
    else if (key === "ip") ips.push(value);
    else if (key === "allowed") allowed.push(value);
    else if (key === "name" || key === "network") words[key] = value;
    else if (key === "mac") words.mac = value === "auto" ? null : value;
    else if (key === "port" || key === "parent") words[key] = value === "none" ? null : value;
    else
      throw new InvalidArgumentError(
        `"${key}" is not a valid key: use network, name, mac, ip, port, parent, router or allowed.`,
      );
  }
  if (allowed.length > 1 && allowed.includes("none"))
    throw new InvalidArgumentError("allowed=none cannot be combined with addresses.");
  if (allowed.length > 0) words.allowedAddresses = allowed[0] === "none" ? null : allowed.map((ip) => ({ ip }));
  if (ips.length === 0) return words;
  if (ips.length > 1 && (ips.includes("none") || ips.includes("auto"))) {
    throw new InvalidArgumentError("ip=none and ip=auto cannot be combined with other addresses.");
  }
  return { ...words, ips: ips[0] === "auto" ? null : ips[0] === "none" ? [] : ips };
}

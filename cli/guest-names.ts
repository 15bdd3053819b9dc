// VMs by name where `nearmiss explain` takes addresses: asked of the controller, as an operator. A host may not look up VMs of others.
import { isIP } from "node:net";
import type { VmView } from "../schema/rest/index.ts";
import type { Static } from "../schema/typebox.ts";
import type { Client } from "./client.ts";
import { type ConnectionOptions, connect } from "./connection.ts";
import { CliError, RefusedError } from "./errors.ts";

export interface Guests {
  readonly network: string;
  readonly from: string;
  readonly to: string;
}
/** As they were written: an address, `VM` or `VM/INTERFACE`; the network only where it has to be said. */
export type WrittenGuests = Omit<Guests, "network"> & { readonly network?: string | undefined };

interface Fault {
  readonly fault: string;
  readonly status: number;
}

/** An address of a guest in one network. */
interface Place {
  readonly network: string;
  readonly interface: string;
  readonly ips: readonly string[];
}

interface Guest {
  readonly written: string;
  /** Absent: it was written as an address. */
  readonly places?: readonly Place[];
}

export async function resolveGuests(options: ConnectionOptions, written: WrittenGuests): Promise<Guests | Fault> {
  try {
    const isAddress = isIP(written.from) !== 0 && isIP(written.to) !== 0;
    if (isAddress && written.network !== undefined) return { ...written, network: written.network };
    if (isAddress) throw new CliError("addresses mean something within a network only: add --network", 2);
    const client = await connect(options);
    const [from, to] = [await guestOf(client, written.from), await guestOf(client, written.to)];
    const network = written.network ?? commonNetwork(from, to);
    const [ofFrom, ofTo] = [addressesIn(from, network), addressesIn(to, network)];
    const family = [4, 6].find((each) => [ofFrom, ofTo].every((ips) => ips.some((ip) => isIP(ip) === each)));
    if (family === undefined)
      throw new CliError(`${from.written} and ${to.written} have no addresses of one family in network ${network}`, 1);
    const first = (ips: readonly string[]) => ips.find((ip) => isIP(ip) === family) ?? "";
    return { network, from: first(ofFrom), to: first(ofTo) };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const asked = "\nNames are asked of the controller. With two addresses and --network, `explain` needs no token.";
    return { fault: `${error.message}${error.status === 2 ? "" : asked}`, status: error.status };
  }
}

/** @throws CliError */
async function guestOf(client: Client, written: string): Promise<Guest> {
  if (isIP(written) !== 0) return { written };
  const [name = "", ofInterface] = written.split("/");
  const vm = await vmNamed(client, name);
  const places = vm.interfaces
    .filter((each) => ofInterface === undefined || each.name === ofInterface)
    .map((each): Place => ({ network: each.network, interface: each.name, ips: each.ips }));
  if (places.length > 0) return { written, places };
  const has = vm.interfaces.map((each) => each.name).join(", ");
  throw new CliError(
    ofInterface === undefined
      ? `VM ${name} has no interfaces`
      : `VM ${name} has no interface "${ofInterface}", only ${has || "none"}`,
    1,
  );
}

/** @throws CliError */
async function vmNamed(client: Client, name: string): Promise<Static<typeof VmView>> {
  try {
    return await client.call("GET", `/v1/vms/${encodeURIComponent(name)}`);
  } catch (error) {
    if (!(error instanceof RefusedError) || error.type !== "not-found") throw error;
    for (const [plural, noun] of [
      ["hosts", "host"],
      ["networks", "network"],
    ] as const) {
      const isThat = await client.call("GET", `/v1/${plural}/${encodeURIComponent(name)}`).then(
        () => true,
        () => false,
      );
      if (isThat)
        throw new CliError(
          `${name} is a ${noun}: name a VM, as VM or VM/INTERFACE, or an address of one`,
          error.status,
        );
    }
    throw error;
  }
}

/** @throws CliError */
function commonNetwork(from: Guest, to: Guest): string {
  const [known, other] = from.places ? [from, to] : [to, from];
  const networks = [...new Set((known.places ?? []).map(({ network }) => network))];
  const common = networks.filter((each) => !other.places || other.places.some(({ network }) => network === each));
  const [only] = common;
  if (only !== undefined && common.length === 1) return only;
  if (common.length > 1)
    throw new CliError(`they may be meant in several networks (${common.join(", ")}): say which with --network`, 2);
  throw new CliError(
    `${from.written} and ${to.written} are in no network together, so that they cannot reach each other`,
    1,
  );
}

/** @throws CliError */
function addressesIn({ written, places }: Guest, network: string): readonly string[] {
  if (!places) return [written];
  const [place, another] = places.filter((each) => each.network === network);
  if (!place) throw new CliError(`${written} is not in network ${network}`, 1);
  if (another) {
    const [name] = written.split("/");
    throw new CliError(
      `${name} has several interfaces in ${network}: name ${name}/${place.interface} or ${name}/${another.interface}`,
      2,
    );
  }
  if (place.ips.length === 0) throw new CliError(`${written} has no address in network ${network}`, 1);
  return place.ips;
}

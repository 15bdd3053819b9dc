// `nearmiss resolve`: the answer that an agent would get.
import type { Command } from "../../common/commander.ts";
import type { NetworkView } from "../../schema/rest/index.ts";
import type { Client } from "../client.ts";
import { connect } from "../connection.ts";
import { CliError } from "../errors.ts";
import { parseCount } from "../numbers.ts";
import { action, format, formatFields } from "../output.ts";
import { type CommonOptions, pathOf, subcommand } from "./resource.ts";

interface ResolveOptions extends CommonOptions {
  readonly network?: string;
  readonly vni?: number;
}

interface ResolveAnswer {
  readonly vni: number;
  readonly ip?: string;
  readonly mac: string;
  readonly vtep: string;
  readonly port: number;
  readonly host: string;
  readonly vm: string;
  readonly revision: number;
}

export function addResolveCommand(program: Command): void {
  subcommand(program, "resolve", "show the location of an address, as an agent would get it")
    .description("Shows the answer that an agent would get: the MAC of an IP, and the host of a MAC.")
    .argument("<address>", "an IP or a MAC")
    .option("--network <name>", "the network that it is in")
    .option("--vni <n>", "the network by its VNI", parseCount)
    .action(
      action(async (address: string, { network, vni, ...options }: ResolveOptions) => {
        const client = await connect(options);
        const kind = /^([0-9a-f]{1,2}[:-]){5}[0-9a-f]{1,2}$/i.test(address) ? "mac" : "ip";
        const query = { vni: await findVni(client, network, vni), [kind]: address };
        const found = await client.call<ResolveAnswer>("GET", "/v1/resolve", { query });
        return format(options.output, found, () =>
          formatFields([
            ["vm", found.vm],
            ...(found.ip === undefined ? [] : [["ip", found.ip] as const]),
            ["mac", found.mac],
            ["host", found.host],
            ["vtep", `${found.vtep} port ${found.port}`],
            ["vni", String(found.vni)],
            ["revision", String(found.revision)],
          ]),
        );
      }),
    );
}

/** @throws CliError where not exactly one of both is given */
async function findVni(client: Client, network: string | undefined, vni: number | undefined): Promise<number> {
  if ((network === undefined) === (vni === undefined)) {
    throw new CliError("name the network: use either --network or --vni", 2);
  }
  if (network === undefined) return vni ?? 0;
  return (await client.call<NetworkView>("GET", pathOf({ plural: "networks" }, network))).vni;
}

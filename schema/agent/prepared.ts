// Interfaces of VMs that are being migrated to the reading host, as version 2 of the agent channel writes them.
import { type PreparedChange, parseIp, parseMac, parseVni } from "../address/index.ts";
import { type Static, Type } from "../typebox.ts";

/** Without `ips`: it is not being migrated there any more. */
export const WirePrepared = Type.Object({
  vni: Type.Integer(),
  mac: Type.String(),
  ips: Type.Optional(Type.Array(Type.String())),
  port: Type.Optional(Type.String()),
});

export const preparedText = ({ vni, mac, ...rest }: PreparedChange): string => JSON.stringify({ vni, mac, ...rest });

/** @throws AddressError */
export function parsePrepared({ vni, mac, ips, port }: Static<typeof WirePrepared>): PreparedChange {
  const name = { vni: parseVni(vni), mac: parseMac(mac) };
  if (ips === undefined) return name;
  return { ...name, ips: ips.map(parseIp), ...(port === undefined ? {} : { port }) };
}

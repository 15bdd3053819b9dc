// Keys and answers of the fleet that `populate` makes.
import { parseIp, parseMac, parseVni } from "../../schema/address/index.ts";

export const blue = parseVni(100);
export const red = parseVni(200);
export const ipKey = (n: number, vni = blue) => ({ kind: "ip", vni, ip: parseIp(`10.20.1.${n}`) }) as const;
export const macKey = (n: number, vni = blue) => ({ kind: "mac", vni, mac: parseMac(`52:54:00:00:00:0${n}`) }) as const;
export const at = (host: string, n: number) => ({
  mac: `52:54:00:00:00:0${n}`,
  host,
  vtep: `192.0.2.${host.charCodeAt(0) - 96}`,
  vtepPort: 4789,
});

// What is registered: VMs of one network, each with a MAC, an IPv4 and an IPv6 address. Pure.

export const networkBody = { name: "net", vni: 100, subnets: ["10.0.0.0/8", "fd00:10::/64"] };
/** A host may have some thousands. */
const hosts = 100;

export const hostBodies = Array.from({ length: hosts }, (_, n) => ({ name: `host-${n}`, vtep: `192.0.2.${n + 1}` }));

/** @param n 1 … 16,000,000 */
export function vmBody(n: number) {
  const bytes = [(n >> 16) & 255, (n >> 8) & 255, n & 255];
  const mac = `52:54:00:${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
  const ips = [
    `10.${bytes.join(".")}`,
    `fd00:10::1:${n
      .toString(16)
      .replace(/(?=.{4}$)/, ":")
      .replace(/^:/, "")}`,
  ];
  return { name: `vm-${n}`, host: `host-${n % hosts}`, interfaces: [{ network: "net", mac, ips }] };
}

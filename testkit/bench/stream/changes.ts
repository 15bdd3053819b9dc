// The changes that the stream is measured with: VMs of one network that move between two hosts. Pure.

/** NDJSON: a network, two hosts, and the VMs. */
export function furnishLines(vms: number): string {
  const network = { kind: "network", name: "net", vni: 100, subnets: ["10.0.0.0/16"] };
  const hosts = [1, 2].map((n) => ({ kind: "host", name: `host-${n - 1}`, vtep: `192.0.2.${n}` }));
  return [network, ...hosts].map((line) => `${JSON.stringify(line)}\n`).join("") + changeLines(vms, -1);
}

/** NDJSON: each VM on the other host than in the batch before. */
export function changeLines(vms: number, batch: number): string {
  const host = `host-${Math.abs(batch % 2)}`;
  return Array.from({ length: vms }, (_, n) => {
    const hex = n.toString(16).padStart(4, "0");
    const mac = `52:54:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
    const interfaces = [{ network: "net", mac, ips: [`10.0.${n >> 8}.${(n & 255) + 1}`] }];
    return `${JSON.stringify({ kind: "vm", name: `vm-${n}`, host, interfaces })}\n`;
  }).join("");
}

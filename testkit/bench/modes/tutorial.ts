// The method of articles on VXLAN and neighbour misses: `ip monitor`, and a shell loop that looks the address up in a
// file. Better than most of them: it answers an l3miss with both entries, where theirs lose the packet to an l2miss.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../../lab/host.ts";
import type { Lab } from "../../lab/lab.ts";
import { inNamespace } from "../../lab/namespace.ts";
import { waitFor } from "../../lab/wait.ts";
import { makeDevices, tunnel } from "./devices.ts";
import type { Mode } from "./mode.ts";

/** $1: the vxlan device; $2: the map, with lines "ip mac vtep". */
const recipe = `
ip monitor neigh dev "$1" | while read -r word first second third rest; do
  [ "$word" = miss ] || continue
  case $first in
    dev) line=$(grep -m1 -F " $third " "$2") ;;   # miss dev nmv100 lladdr 52:54:00:00:00:02 STALE
    *)   line=$(grep -m1 -F "$first " "$2") ;;    # miss 10.0.0.2 dev nmv100 STALE
  esac
  [ -n "$line" ] || continue
  set -- "$1" "$2" $line
  ip neigh replace "$3" lladdr "$4" dev "$1" nud reachable
  bridge fdb replace "$4" dev "$1" dst "$5"
done
`;

export const tutorialMode: Mode = {
  name: "tutorial",
  slow: true,
  prepare: async (lab) => {
    writeFileSync(mapOf(lab), "");
    await Promise.all(
      lab.hosts.map(async (host) => {
        await makeDevices(host, "miss");
        startRecipe(host, mapOf(lab));
        await waitFor(() => listensForNeighbours(host), { what: `ip monitor to listen on host ${host.name}` });
      }),
    );
  },
  place: async (lab, come) => {
    const lines = come.map(({ host, endpoint: { ip, mac } }) => `${ip} ${mac} ${host.address}\n`);
    appendFileSync(mapOf(lab), lines.join(""));
  },
};

function mapOf(lab: Lab): string {
  return join(lab.directory, "map");
}

/** Ends with the lab, like every program in its namespaces. */
function startRecipe(host: Host, map: string): void {
  const shell = host.spawn(["sh", "-c", recipe, "sh", tunnel, map]);
  shell.on("error", (error) => process.stderr.write(`tutorial: ${error.message}\n`));
  shell.stdin.end();
  shell.stdout.resume();
  shell.stderr.resume();
}

function listensForNeighbours(host: Host): boolean {
  const RTNLGRP_NEIGH = 3;
  const table = inNamespace(host.namespace, () => readFileSync("/proc/thread-self/net/netlink", "utf8"));
  return table.split("\n").some((line) => {
    const [, family, , groups = "0"] = line.trim().split(/\s+/);
    return family === "0" && (Number.parseInt(groups, 16) & (1 << (RTNLGRP_NEIGH - 1))) !== 0;
  });
}

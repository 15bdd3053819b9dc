// The stage is built: hosts, controller, agents, and the inventory that an operator would write.
import { waitUntil } from "../../lab/wait.ts";
import { type CastMember, members, mtu, networks, subnets } from "../cast.ts";
import type { Stage } from "../stage.ts";

interface HostList {
  readonly hosts: readonly { readonly name: string; readonly connected: boolean }[];
}

export async function startPrograms(stage: Stage): Promise<void> {
  const { lab, story } = stage;
  story.chapter("Three hosts and a controller");
  story.say(
    "Each host is a network namespace with a real kernel data path; a switch joins them. The controller knows where " +
      "every VM is. An agent on each host answers its kernel's questions, and nothing else is configured there.",
  );
  story.blank();
  await lab.startController();
  story.event("controller", "listens", `${lab.controllerUrl}, with a CA of its own and an admin token in a file`);
  story.blank();
  story.say(
    "Hosts enrol one by one. The operator's command prints the command to run on the host: a token that is valid for one " +
      "host, once, within an hour, and the hash with which the host recognizes the controller. With it the agent gets a certificate.",
  );
  story.blank();
  const lines = await Promise.all(lab.hosts.map((host) => host.enrol()));
  const [first] = lab.hosts;
  if (first) story.command(`nearmiss host add ${first.name} --vtep ${first.address}`, shorten(lines[0] ?? ""));
  story.blank();
  for (const host of lab.hosts) {
    host.startAgent();
    stage.watch.follow(host);
  }
  await waitUntil(
    () => lab.api<HostList>("GET", "/v1/hosts"),
    ({ body }) => lab.hosts.every(({ name }) => body.hosts.some((each) => each.name === name && each.connected)),
    { what: "all agents to be connected", deadlineMs: 20_000, everyMs: 20 },
  ).catch((error: unknown) => {
    const dead = lab.hosts.find((host) => !host.agent.running);
    throw dead ? new Error(dead.agent.describe("ended early"), { cause: error }) : error;
  });
  for (const host of lab.hosts)
    story.event(`host ${host.name}`, "agent", `connected with its certificate, tunnel end ${host.address}`);
}

/** As printed, without the middle of secrets and long texts. */
function shorten(line: string): string {
  return line.replace(/(nmj_\w{4})[\w-]+/, "$1…").replace(/(sha256:\w{8})\w+/, "$1…");
}

export async function registerInventory(stage: Stage): Promise<void> {
  const { story, lab } = stage;
  story.chapter("Two networks with the same addresses");
  story.say(
    `Blue and red are two tenants. Both chose ${subnets.join(" and ")}; a number on the wire, the VNI, tells them apart.`,
  );
  story.blank();
  for (const { name, vni } of networks) {
    await stage.call("PUT", `/v1/networks/${name}`, { vni, subnets, mtu });
    story.event("operator", "PUT", `/v1/networks/${name}   VNI ${vni}`);
  }
  await Promise.all(members.map((member) => register(stage, member)));
  for (const member of members) {
    const { name, host, mac, ipv4, ipv6 } = member;
    story.event("operator", "POST", `/v1/vms   ${name.padEnd(10)} on host ${host}   ${mac}   ${ipv4}   ${ipv6}`);
  }
  await Promise.all(
    members.map(async ({ name, host, network, mac, ipv4, ipv6 }) => {
      const ips = [`${ipv4}/24`, `${ipv6}/64`];
      stage.guests.set(name, await lab.host(host).addGuest({ name, vni: network.vni, mac, ips, mtu }));
    }),
  );
  story.blank();
  const before = await Promise.all(lab.hosts.map((host) => host.exec(["ip", "neigh", "show", "nud", "permanent"])));
  stage.checks.expect(
    "The guests run and no host knows any of them yet",
    before.every((text) => text.trim() === ""),
    `${before.join("").split("\n").filter(Boolean).length} neighbour entries on ${lab.hosts.length} hosts`,
  );
}

async function register(stage: Stage, member: CastMember): Promise<void> {
  const { name, host, network, mac, ipv4, ipv6 } = member;
  const card = { name: "eth0", network: network.name, mac, ips: [ipv4, ipv6] };
  await stage.call("POST", "/v1/vms?wait=ready", { name, host, interfaces: [card] });
}

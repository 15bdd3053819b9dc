// Every command that a message or a page tells people to run. One that changes something is listed with the situations in which it
// is printed, and with what it does where it is followed although the guess behind the message is wrong. A new one fails here.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { pageCommands, printedCommands } from "../support/commands-in-messages.ts";

const root = join(import.meta.dirname, "../..");

/** These only read, or print what others do. */
const reading: readonly RegExp[] = [
  / --help$/,
  /^nearmiss help /,
  /^nearmiss (?:vm|host|network|token|ca|…)(?: (?:list|ls|get|show|describe|groups)\b.*)?$/,
  /^nearmiss (?:agent status|explain|resolve|events|audit|export|diff|config|status|whoami|version|completion)\b/,
  /^nearmiss(?: (?:agents?|agent remove|controller|…))?$/,
  /^ip (?:rule$|route (?:get|show)\b|(?:-d link|address|neigh) show\b)|^bridge (?:fdb|-d link) show\b/,
  /^(?:nft list chain|lsns|nsenter -n -t PID ip -d link show|ss|ping -c)\b/,
  /^tc (?:-s )?(?:filter|qdisc) show\b/,
  /^npm run (?:setup|build|…)$/,
];

interface Advice {
  /** Situations in which it is printed. */
  readonly when: string;
  /** Situations in which the guess is wrong, and what happens to those who follow it there. */
  readonly wrong: string;
}

/** Of the agent: in node-agent/kernel/devices/advice.ts and nowhere else. */
const ofTheAgent: Readonly<Record<string, Advice>> = {
  "nearmiss agent remove …": {
    when: "a third-party device has a network's VNI, UDP port or device name; devices of another store are left; an adopted device does not fit",
    wrong:
      "the device carries another program's or another controller's traffic: it is refused, with what uses it (device-usage.test.ts)",
  },
  "nearmiss agent remove … …": { when: "as above, a tunnel and its bridge", wrong: "as above" },
  "… -I FORWARD -i nmb+ -o nmb+ -j ACCEPT": {
    when: "bridged frames pass a forward chain with policy drop",
    wrong:
      "another rule should drop frames between guests: only frames of our bridges are concerned, and iptables -D takes it back",
  },
  "… -I FORWARD -i … -o … -j ACCEPT": { when: "the same for one bridge", wrong: "as above, for that bridge" },
  "ip address add …/… dev …": {
    when: "no interface has the registered VTEP address",
    wrong:
      "another machine has the address now: the ping that comes before it is answered. It lacks prefix and device, so it does not run as it is",
  },
  "ip neigh del … dev …": {
    when: "explain: a neighbour without a MAC hides misses",
    wrong: "it has been resolved in between: the next packet is a miss, and the agent writes the entry again",
  },
  "modprobe nf_tables": {
    when: "the kernel has no nf_tables, so guests cannot be kept from their host",
    wrong: "the kernel has it built in, or not at all: modprobe says so, and nothing changes",
  },
};

/** Where they are made, in device-fit.ts and host-words.ts. */
const making: Readonly<Record<string, Advice>> = {
  "ip link add … type vxlan id … local … dstport … nolearning proxy l2miss l3miss; ip link set … …": {
    when: "an adopted device is gone or does not fit",
    wrong:
      "it is back, or another device has its VNI: the kernel refuses (EEXIST), and an existing device is at most put up",
  },
};

const others: Readonly<Record<string, Advice>> = {
  "chmod go= …": {
    when: "files of the controller may be read by others",
    wrong: "--db names a file of another program: that is refused before, without this advice (start.test.ts)",
  },
  "nearmiss agent --controller URL --host NAME": {
    when: "explain or agent status finds no agent",
    wrong: "one runs, with another --socket: a second one in a network namespace is refused (second-agent.test.ts)",
  },
  "nearmiss agent --controller … --host …": {
    when: "dashboard: the line for a host of a controller with --insecure",
    wrong: "it is run on another host: an agent that runs there, or whose VTEP is another, is refused or reported",
  },
  "nearmiss agent --controller ……": {
    when: "host add, and the dashboard: the line for the host",
    wrong:
      "it is run on another host: the token is for one name, and a machine that is enrolled or has an agent refuses",
  },
  "nearmiss apply": { when: "words and help of other commands", wrong: "it shows its plan and asks" },
  "nearmiss apply -f": { when: "YAML was given to import", wrong: "it shows its plan and asks" },
  "nearmiss import": {
    when: "help of export",
    wrong: "the file is stale: it is refused where names or addresses are taken, and --dry-run shows it",
  },
  "nearmiss backup": { when: "a file is no backup", wrong: "it reads, and never overwrites a file" },
  "nearmiss backup --db /var/lib/nearmiss/nearmiss.db /var/backups/nearmiss-$(date +%F": {
    when: "help",
    wrong: "as above",
  },
  "nearmiss restore": {
    when: "enrolled hosts, and no CA",
    wrong: "it never overwrites a database or another CA, nor one in use",
  },
  "nearmiss restore BACKUP --db …": {
    when: "the database is damaged",
    wrong: "as above; the damaged one was moved, not deleted",
  },
  "nearmiss restore /var/backups/nearmiss-2026-11-21.db --db /var/lib/nearmiss/nearmiss.db": {
    when: "help",
    wrong: "as above",
  },
  "nearmiss controller --listen … --db …": {
    when: "an address that others reach, without TLS",
    wrong: "the same command with TLS: without tokens nothing is served",
  },
  "nearmiss controller --listen '[::1]:4788'": { when: "help", wrong: "an example" },
  "nearmiss controller --listen 192.0.2.250:4788 --db /var/lib/nearmiss/nearmiss.db --insecure": {
    when: "help",
    wrong:
      "an example that opens the port to all: its help says what --insecure means, and it is the explicit choice of the operator",
  },
  "nearmiss ca add": {
    when: "the CA of hosts ends soon",
    wrong: "it is another CA's end that was meant: one more CA is trusted, which signs nothing",
  },
  "nearmiss ca use": {
    when: "as above, after ca add",
    wrong:
      "it needs the id of a CA that is trusted; agents renew their certificates by themselves, and the former CA stays trusted",
  },
  "nearmiss host add": {
    when: "a host is not enrolled",
    wrong: "it is: the present certificate stays valid, and the token ends within the hour",
  },
  "nearmiss host add …": { when: "as above", wrong: "as above" },
  "nearmiss host add HOST": { when: "as above", wrong: "as above" },
  "nearmiss host update … --vtep …": {
    when: "host add names another VTEP than the registered one",
    wrong:
      "the host has the registered address: `vtep-missing` on it, and its guests are cut off until the former address is set again",
  },
  "nearmiss host down …": {
    when: "a host with VMs is to be deleted by force",
    wrong: "the host lives: its VMs and traffic stay, nothing new is placed there, and `host up` takes it back",
  },
  "nearmiss host up": {
    when: "a host is marked down, and its agent is connected",
    wrong: "the host is about to fail again: VMs may be placed there, and host down takes it back",
  },
  "nearmiss host up …": {
    when: "a VM is placed on a host that is marked down",
    wrong: "the host is dead: VMs may be placed there, and moves wait for it",
  },
  "nearmiss network thaw … …": {
    when: "an address has moved too often, and the reason was found",
    wrong: "the guests still do not hear each other: after five more moves it is frozen again",
  },
  "nearmiss host revoke …": {
    when: "host add for a host that is enrolled",
    wrong:
      "the certificate is that of the living host: it is named as what it ends, and a join line lets the host enrol again; traffic goes on",
  },
  "nearmiss token create": { when: "a request without a token", wrong: "one more token, listed by `token list`" },
  "nearmiss token create --role admin --db FILE": { when: "the last admin token is to be revoked", wrong: "as above" },
  "nearmiss token create --role viewer": { when: "the page asks for a token", wrong: "as above, and it only reads" },
  "nearmiss vm move": {
    when: "help of vm update; a VM is registered on a host that does not have its port",
    wrong: "without names it does nothing",
  },
  "nearmiss vm move … HOST": {
    when: "explain: a VM is registered on a host that does not have its port",
    wrong:
      "the VM is not started yet: the sentence makes it the condition that the VM runs on the other host, and HOST has to be filled in",
  },
  "nearmiss vm update": {
    when: "a guest sends with the address and not with the MAC that is registered, or from another port",
    wrong: "without names it does nothing",
  },
  "nearmiss vm move … …": {
    when: "explain is run on a host where the VM is not registered",
    wrong: "the VM runs elsewhere: the sentence makes that the condition, and names the other host first",
  },
};

const isReading = (command: string): boolean => reading.some((pattern) => pattern.test(command));
const withoutEarlier = (file: string): boolean => file !== "controller/agents/earlier-phrases.ts";

describe("commands in messages", () => {
  const printed = printedCommands(["node-agent", "controller", "cli", "dashboard", "common", "bin", "schema"])
    .filter(({ file }) => withoutEarlier(file))
    .filter(({ command }) => !isReading(command));
  const listed = { ...ofTheAgent, ...making, ...others };

  test("that change something are listed, and none is listed in vain", () => {
    const commands = [...new Set(printed.map(({ command }) => command))].sort();
    expect(commands).toEqual(Object.keys(listed).sort());
  });

  test("of the agent that change the host are made in one place", () => {
    const elsewhere = printed.filter(
      ({ command, file }) =>
        file.startsWith("node-agent/") &&
        !command.startsWith("nearmiss host") &&
        !command.startsWith("nearmiss agent --") &&
        !command.startsWith("nearmiss vm") &&
        !["node-agent/kernel/devices/advice.ts", "node-agent/kernel/devices/device-fit.ts"].includes(file),
    );
    expect(elsewhere).toEqual([]);
  });

  test("never delete or switch off what another program may use", () => {
    const harmful =
      /^(?:ip link (?:del|set)|ip address (?:del|flush)|sysctl -w|bridge fdb|nft (?:delete|flush)|rm|kill|systemctl (?:stop|restart))\b/;
    expect(Object.keys(listed).filter((command) => harmful.test(command))).toEqual([]);
    expect(
      Object.keys(listed).filter((command) => / --(?:force|in-use|prune|yes|new-ca|no-checksum)\b/.test(command)),
    ).toEqual([]);
  });
});

/** What pages say that destroys or stops something, by page: each has its condition beside it. */
const ofPages: Readonly<Record<string, readonly string[]>> = {
  "SECURITY.md": [
    "ip link set PORT type bridge_slave group_fwd_mask 0xfffd",
    "nearmiss ca remove --force",
    "nearmiss host revoke",
  ],
  // The agent: forwarding goes on.
  "docs/anti-spoof.md": ["systemctl stop nearmiss-agent"],
  "docs/underlay-filter.md": ["systemctl stop nearmiss-agent"],
  "docs/apply.md": [
    "nearmiss apply -f fleet.yaml --prune --yes",
    "nearmiss apply -f fleet.yaml --yes",
    'nearmiss apply -f more.yaml --yes; echo "status $?"',
    'nearmiss apply -f wrong.yaml --yes; echo "status $?"',
  ],
  "docs/backup.md": [
    "mkdir old && mv nearmiss.db* old/",
    "nearmiss restore backup-2026-11-21.db --db nearmiss.db",
    "systemctl start nearmiss-controller",
    "systemctl stop nearmiss-controller",
  ],
  "docs/cli.md": [
    "nearmiss host down b",
    "nearmiss host evacuate b --to a",
    "nearmiss host evacuate b --to a --dry-run",
    "nearmiss network delete blue",
    "nearmiss vm delete db-1 --dry-run",
  ],
  "docs/enrolment.md": ["nearmiss ca remove cddbc13a", "nearmiss host delete c", "nearmiss host revoke c"],
  // To see what explain says without it: forwarding goes on, and it is started again.
  "docs/debugging.md": ["systemctl start nearmiss-controller", "systemctl stop nearmiss-controller"],
  // What becomes of the files of a host that is revoked.
  "docs/knowledge.md": ["nearmiss host revoke"],
  // Of a host that was evacuated: a host with VMs is refused.
  "docs/moves.md": ['curl -sS --fail-with-body --cacert ca.pem -H @header -X DELETE "$NEARMISS/v1/hosts/c"'],
  // Shows that the agent restores it.
  "docs/operators.md": [
    "ip link del nmv100",
    'nearmiss network delete blue; echo "status $?"',
    "nearmiss vm delete zz",
  ],
  "docs/security.md": ["nearmiss token revoke $(jq -r .id viewer.json)", "nearmiss token revoke d65ba472"],
};

describe("commands in pages", () => {
  const pages = [
    "README.md",
    "SECURITY.md",
    ...readdirSync(join(root, "docs"))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];
  const destructive =
    /\b(?:ip link del|ip link set (?!\S+ addrgenmode)\S+|ip address (?:del|flush)|ip neigh del|bridge fdb (?:del|replace)|rm|mv|sysctl -w|kill|systemctl (?:stop|start|restart)|nft (?:delete|flush)) |nearmiss (?:\S+ )?(?:delete|remove|revoke|restore|evacuate|down|abort)\b| --(?:force|prune|yes|new-ca|in-use)\b|-X DELETE/;

  test.each(pages)("%s destroys and stops only what is listed", (page) => {
    const commands = pageCommands(readFileSync(join(root, page), "utf8"))
      .filter((command) => destructive.test(`${command} `) && /\s/.test(command))
      .filter(
        (command) =>
          !/^nearmiss diff|^nearmiss (?:restore|backup|vm rm|agent remove)$|^delete --force$|^nearmiss agent remove DEVICE$/.test(
            command,
          ),
      )
      .map((command) => command.replace(/ {2,}#.*$/, ""));
    expect([...new Set(commands)].sort()).toEqual([...(ofPages[page] ?? [])].sort());
  });
});

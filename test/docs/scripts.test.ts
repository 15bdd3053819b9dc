// What the scripts and units of the pages do, command by command, and what the shell scripts that are installed say. Each command that
// changes something is listed with its situation, and with what it does in a wrong one. Commands are read from the scripts: a new one fails here.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { commandsIn, printedCommands } from "../support/commands-in-messages.ts";
import { commandsOfShell } from "../support/shell-commands.ts";
import { blocksOf } from "./blocks.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** These only read, print, or set variables of their shell. */
const reading: readonly RegExp[] = [
  /^(?:\[|:|cat|cut|date|echo|exit|export|field|grep|hash|head|hostname|nproc|printf|readlink|return|sed|set --|shift|command -v)(?= |$)(?!.*[^2]> ?[^&/])/,
  /^nearmiss (?:explain|agent status|diff|events|vm list|network groups|apply -f fleet\.yaml$)/,
  /^bridge fdb show |^nft list |^sysctl [a-z._-]+$/,
  /^\$?curl (?!.*(?:-X|-d|"\$@"))|^call "\$NEARMISS\/v1\/vms\/\$1"$/,
];

interface Action {
  /** The situation in which it is run. */
  readonly when: string;
  /** A situation in which it should not have been, and what happens there. */
  readonly wrong: string;
}

const contributor = (what: string): Action => ({
  when: `for contributors: ${what}`,
  wrong: "it changes files of the clone, and removes the namespaces that it has made",
});
const unit = (when: string, wrong: string): Action => ({ when, wrong });

/** By page, of its blocks of `sh` and of units. */
const ofPages: Readonly<Record<string, Readonly<Record<string, Action>>>> = {
  "README.md": {
    "sudo npm run demo": contributor("the demo"),
    "sudo npm test": contributor("all tests"),
    "npm run setup": contributor("the build"),
    'ln -s "$PWD/dist/bin/nearmiss" /usr/local/bin/nearmiss': {
      when: "the program is to be on PATH",
      wrong: "another file has that name: ln refuses, and changes nothing",
    },
    "nearmiss vm move web-1 b --wait": {
      when: "the VM runs on the other host now",
      wrong: "it does not: guests of other hosts do not reach it until it is moved back, which the answer names",
    },
  },
  "CONTRIBUTING.md": {
    "npm run setup": contributor("the build"),
    "npm test": contributor("all tests"),
    ".ci/run": contributor("all checks"),
  },
  "docs/api.md": {
    "npx swagger-typescript-api generate -p http://127.0.0.1:4788/openapi.json -o client -n nearmiss.ts": {
      when: "a client is to be generated",
      wrong: "client/nearmiss.ts is there: it is written anew, in the directory of whom generates it",
    },
  },
  "docs/backup.md": {
    'nearmiss backup --db /var/lib/nearmiss/nearmiss.db --recipient age1… "/var/backups/nearmiss-$(…).db"': {
      when: "once a day",
      wrong: "no database, a full disk, or the day's backup is there: it says so, and writes and overwrites nothing",
    },
    "find /var/backups -name 'nearmiss-*.db*' -mtime +14 -delete": {
      when: "behind a backup that succeeded",
      wrong: "backups fail for weeks: it is not run, so the last ones stay",
    },
  },
  "docs/cli.md": {
    "nearmiss completion bash > /etc/bash_completion.d/nearmiss": {
      when: "completion is wanted",
      wrong: "a file of that name is another's: none but nearmiss's package has a reason to",
    },
    'nearmiss completion zsh > "${fpath[1]}/_nearmiss"': { when: "as above", wrong: "as above" },
    "nearmiss completion fish > ~/.config/fish/completions/nearmiss.fish": { when: "as above", wrong: "as above" },
  },
  "docs/delivery.md": {
    "nearmiss network create blue --vni 100 --subnet 10.20.1.0/24 --broadcast replicate": {
      when: "a network is to copy broadcasts",
      wrong: "its name or VNI is taken: it is refused",
    },
    "nearmiss network update blue --broadcast replicate": {
      when: "the same for a network that is there",
      wrong: "its guests send many: they are limited on each host, and `--broadcast off` takes it back",
    },
    "nearmiss network update blue --subnet 10.20.1.0/24 --subnet fd00:20::/64": {
      when: "a subnet is added",
      wrong: "one with addresses of VMs is left out: it is refused",
    },
    "nearmiss vm create lb-1 --host a -i network=blue,port=tap1,ip=10.20.1.11,allowed=10.20.1.100,allowed=fd00:20::100":
      {
        when: "two guests share an address",
        wrong: "an address is another VM's own: it is refused",
      },
    "nearmiss vm create lb-2 --host b -i network=blue,port=tap2,ip=10.20.1.12,allowed=10.20.1.100,allowed=fd00:20::100":
      {
        when: "as above",
        wrong: "as above",
      },
    "nearmiss vm update lb-1 -i name=eth0,allowed=none": {
      when: "it shares none any more",
      wrong: "it has the shared address now: the other guest gets it with its next announcement",
    },
    "nearmiss network thaw blue 10.20.1.100": {
      when: "the reason for its moves was found",
      wrong: "it was not: after five more moves the address is frozen again",
    },
  },
  "docs/enrolment.md": {
    "LoadCredential=join:/etc/nearmiss/join": unit(
      "the first start of a host",
      "the file is gone: systemd does not start the unit, and says so",
    ),
    "ExecStart=/usr/local/bin/nearmiss agent --controller https://192.0.2.250:4788 --ca-hash sha256:… --join-file %d/join":
      unit("as above", "the token is another host's or was used: it is refused, and the agent keeps what it has"),
    "nearmiss host add c": {
      when: "a host has lost its certificate",
      wrong: "it has not: the present certificate stays valid, and the token ends within the hour",
    },
  },
  "docs/faults.md": Object.fromEntries(
    ["--list", "--short", "--only partition", "--histories 100", "--json"].map((flags) => [
      `npm run fault -- ${flags}`,
      contributor("faults in a lab"),
    ]),
  ),
  "docs/hosts.md": {
    "nearmiss host update a --vtep 192.0.2.77": {
      when: "the host has the new address",
      wrong:
        "it has not: `vtep-missing` on that host, and its guests are cut off until the former address is set again",
    },
    "nearmiss agent --vtep 198.51.100.7 --local-vtep 10.0.0.7": {
      when: "the host is behind 1:1 NAT",
      wrong: "the host has no such address: `vtep-missing`, and no device is changed",
    },
  },
  "docs/moves.md": {
    // The requests in text.
    ...Object.fromEntries(
      [
        `-X POST "$NEARMISS/v1/vms/web-1/move" -d '{"host": "b", "wait": true}'`,
        `-N -H accept:application/x-ndjson -X POST "$NEARMISS/v1/vms/web-1/move" -d '{"host": "c", "wait": true}'`,
      ].map((request) => [
        `$curl ${request}`,
        {
          when: "the VM runs on the other host now",
          wrong: "it does not: guests of other hosts do not reach it until the same request names its host",
        },
      ]),
    ),
    '$curl -X POST "$NEARMISS/v1/vms/web-1/prepare" -d \'{"host": "b", "wait": true}\'': {
      when: "before a live migration",
      wrong: "none follows: the target has the networks until abort, and nothing else changes",
    },
    '$curl -X POST "$NEARMISS/v1/vms/web-1/commit" -d \'{"host": "b", "wait": true}\'': {
      when: "the VM runs on the target",
      wrong: "no migration to that host is prepared: it is refused (migration-conflict)",
    },
    '$curl -X POST "$NEARMISS/v1/vms/web-1/abort" -d \'{"wait": true}\'': {
      when: "the migration has failed",
      wrong: "it has succeeded: the commit is refused then, and a move corrects it",
    },
    // The hook, in the order of its text.
    'curl -sS --fail-with-body --max-time 15 --cacert "$NEARMISS_CA" -H @- -H content-type:application/json "$@"': {
      when: "each call of libvirt that the hook answers",
      wrong:
        "no controller: it ends after 15 s; a migration is refused, and the end of a guest waits no longer than that",
    },
    'call -X POST "$NEARMISS/v1/vms/$1/$2" -d "$3" > /dev/null': { when: "the three below", wrong: "as there" },
    'ask "$1" prepare "{\\"host\\": \\"$(…)\\", \\"wait\\": true}"': {
      when: "libvirt: migrate begin, on the target",
      wrong: "a VM or host that nearmiss does not know: it is refused, so the guest stays where it is",
    },
    'ask "$1" commit "{\\"host\\": \\"$target\\"}"': {
      when: "libvirt: release end migrated, or, before 10.5, release end - on the source",
      wrong: "before 10.5, a guest that ends by itself while it is migrated: the page says so, and a move corrects it",
    },
    "ask \"$1\" abort '{}'": {
      when: "libvirt: release end with another reason, on source or target, while a migration is prepared",
      wrong: "a guest of the same name ends on a third host: it is not asked for there (libvirt-hook.test.ts)",
    },
    // Around any other tool.
    '$curl -X POST "$NEARMISS/v1/vms/$vm/prepare" -d "{\\"host\\": \\"$host\\", \\"wait\\": true}"': {
      when: "before the command that migrates",
      wrong: "it is refused: that command is not run",
    },
    '"$@"': { when: "the command of whom calls it", wrong: "it fails: abort" },
    '$curl -X POST "$NEARMISS/v1/vms/$vm/commit" -d "{\\"host\\": \\"$host\\", \\"wait\\": true}"': {
      when: "that command has succeeded",
      wrong: "it reports success too early: guests of other hosts reach the VM as soon as it has arrived",
    },
    '$curl -X POST "$NEARMISS/v1/vms/$vm/abort" -d \'{"wait": true}\'': {
      when: "that command has failed",
      wrong: "the VM has arrived all the same: a move corrects it",
    },
    "migrate web-1 b qm migrate 101 b --online": { when: "as above", wrong: "as above" },
    // A dead host.
    '$curl -X PATCH "$NEARMISS/v1/hosts/c" -d \'{"down": true}\'': {
      when: "a host is dead",
      wrong: "it lives: its VMs and traffic stay, its conditions say that it is up, and `down: false` takes it back",
    },
    '$curl -X POST "$NEARMISS/v1/hosts/c/evacuate?dryRun=true" -d \'{"to": ["a", "b"]}\'': {
      when: "the plan is to be seen",
      wrong: "it changes nothing",
    },
    '$curl -X POST "$NEARMISS/v1/hosts/c/evacuate" -d \'{"to": ["a", "b"], "wait": true}\'': {
      when: "its VMs are started elsewhere",
      wrong: "they still run there: they are cut off from their network; `vm move` of each takes it back, by the plan",
    },
    'curl -sS --fail-with-body --cacert ca.pem -H @header -X DELETE "$NEARMISS/v1/hosts/c"': {
      when: "the host is empty",
      wrong: "it is not: it is refused (without force)",
    },
  },
  "docs/operators.md": {
    "ExecStart=/usr/local/bin/nearmiss controller --listen 192.0.2.250:4788 --db /var/lib/nearmiss/nearmiss.db --tls self":
      unit(
        "the controller's machine",
        "the CA is lost: it does not start; the database is lost: hosts do not trust the new CA, and keep what they have",
      ),
    "DynamicUser=yes": unit("as above", "files that root has restored there: they get the owner of their directory"),
    "StateDirectory=nearmiss": unit("as above", "the directory is there: systemd keeps its content"),
    "ExecStart=/usr/local/bin/nearmiss agent": unit(
      "a host that is enrolled",
      "it is not: the agent says so and ends with status 1; a second agent in a network namespace is refused",
    ),
    "Restart=on-failure": unit(
      "both",
      "it cannot start: systemd gives up after five attempts; an agent that is refused waits by itself",
    ),
    "nearmiss agent --adopt vxlan7,vxlan8": {
      when: "a device of the operator has the network's VNI",
      wrong: "its settings do not fit: it is named as what is wrong, and not changed",
    },
    "iptables -I FORWARD -i nmb+ -o nmb+ -j ACCEPT": {
      when: "the FORWARD chain drops bridged frames",
      wrong:
        "another rule should drop frames between guests: only frames of our bridges are concerned, and iptables -D takes it back",
    },
    ...Object.fromEntries(
      [
        "nft add table inet tunnel",
        "nft 'add chain inet tunnel in { type filter hook prerouting priority raw; }'",
        "nft 'add chain inet tunnel out { type filter hook output priority raw; }'",
        "nft add rule inet tunnel in udp dport 4789 notrack",
        "nft add rule inet tunnel out udp dport 4789 notrack",
      ].map((command) => [
        command,
        {
          when: "tunnelled packets are to be out of tracking, behind a rule that accepts the port",
          wrong:
            "rules accept only with ct state: they no longer match, which the sentence before says, and `tunnel-filter` names the chain",
        },
      ]),
    ),
  },
};

/** What a unit does when it is started. */
const acting = /^(?:Exec\w+|DynamicUser|StateDirectory|LoadCredential|Restart|KillMode|ExecStopPost|Delegate)=/;

function actionsOf(page: string): string[] {
  const actions = blocksOf(read(page)).flatMap(({ kind, text }) => {
    if (/^sh\b/.test(kind)) return commandsOfShell(text);
    return kind === "ini" ? text.split("\n").filter((line) => acting.test(line)) : [];
  });
  return [...new Set(actions)].filter((action) => !reading.some((pattern) => pattern.test(action)));
}

describe("scripts and units of the pages", () => {
  const pages = [
    ...["README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md"],
    ...readdirSync(join(root, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
  ];

  test.each(pages)("%s changes only what is listed, and nothing is listed in vain", (page) => {
    expect(actionsOf(page).sort()).toEqual(Object.keys(ofPages[page] ?? {}).sort());
  });

  test("give no token to a program as an argument, which every user of the machine can read", () => {
    const shown = pages.flatMap((page) =>
      blocksOf(read(page))
        .filter(({ kind }) => /^(?:sh|ini|console)\b/.test(kind))
        // `echo` and `printf` are commands of the shell itself.
        .flatMap(({ text }) => text.split("\n").map((line) => line.replaceAll(/\b(?:echo|printf) "[^"]*"/g, "")))
        .filter((line) => /bearer .*\$\(/i.test(line))
        .map((line) => `${page}: ${line}`),
    );
    expect(shown).toEqual([]);
  });
});

describe("scripts that are installed, and those of contributors", () => {
  const told = [
    ...["bin/nearmiss.sh", "scripts/run.sh"].flatMap((file) =>
      commandsOfShell(read(file))
        .filter((command) => /^(?:echo|printf) /.test(command))
        .flatMap(commandsIn)
        .map((command) => ({ file, command })),
    ),
    ...printedCommands(["scripts", "testkit/demo", "testkit/dev"]),
  ];

  test("tell people to run only what reads, or what is run in the clone", () => {
    const harmless =
      /^(?:npm (?:run|ci)\b|git rebase -i|(?:ip|bridge) (?:-6 )?(?:neigh|fdb) show |ip netns exec … (?:ping|bridge fdb show|ip monitor|…)|curl --cacert …|nearmiss (?:…|demo|dev)$)/;
    expect(told.filter(({ command }) => !harmless.test(command))).toEqual([
      // After a release: where the branch has moved on in between, all of it is refused.
      { file: "scripts/release.cjs", command: "git push --atomic origin main v…" },
      // The demo shows what it runs.
      { file: "testkit/demo/chapters/setting.ts", command: "nearmiss host add … --vtep …" },
    ]);
  });

  test("run only what is listed", () => {
    const run = ["bin/nearmiss.sh", "scripts/run.sh"].flatMap((file) => commandsOfShell(read(file)));
    expect(run.filter((command) => !reading.some((pattern) => pattern.test(command)))).toEqual([
      'exec "$node" $heap "$@"',
      'node scripts/setup.cjs "$purpose"',
      'exec "$@"',
    ]);
  });
});

describe("a shell script is read command by command", () => {
  test.each([
    ["a; b && c || d | e & f", ["a", "b", "c", "d", "e", "f"]],
    ["if a; then b; elif c; then d; else e; fi", ["a", "b", "c", "d", "e"]],
    ["while a; do b; done; for x in 1 2; do c; done", ["a", "b", "c"]],
    ["f() {\n  x=1 y=$(a b) c \\\n    d\n}", ["a b", "c d"]],
    ['x="$(a "b c")"; d "$(e)"', ['a "b c"', "e", 'd "$(…)"']],
    ["case $x in\n  a | 'b c') d ;;\n  *) e ;; # f\nesac; g", ["d", "e", "g"]],
    ["case $x in */*) ;; *) a ;; esac", ["a"]],
    ["a > b 2>&1 # c\n'd # e' \"f; g\"", ["a > b 2>&1", "'d # e' \"f; g\""]],
  ])("%j", (script, commands) => {
    expect(commandsOfShell(script)).toEqual(commands);
  });

  test.each(["cat <<E\na\nE", "a `b`", "a 'b", 'a "b'])("%j is refused", (script) => {
    expect(() => commandsOfShell(script)).toThrow();
  });
});

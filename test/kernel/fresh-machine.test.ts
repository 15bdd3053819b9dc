// A clone on a machine with git, Node and npm but without the programs that nearmiss needs: the effect of the two
// commands there. In CI, or with NEARMISS_FRESH_MACHINE=1, with the real registry and Debian's packages: see ADR 0167.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join, resolve } from "node:path";
import { expect, test } from "vitest";
import { isSupportedNode } from "../../schema/supported-node.ts";
import { temporaryDirectory } from "../support/controller-process.ts";
import { onFreshMachine } from "../support/fresh-machine.ts";
import { describeKernel } from "../support/kernel.ts";

const root = resolve(import.meta.dirname, "../..");
const programs = createRequire(import.meta.url)(join(root, "scripts", "programs.cjs")) as {
  readonly programs: readonly { readonly name: string; readonly files?: readonly string[] }[];
  findDistribution(osRelease: string): string | undefined;
  readOsRelease(): string;
};
const distribution = programs.findDistribution(programs.readOsRelease());
const isReal = process.env.CI === "true" || process.env.NEARMISS_FRESH_MACHINE === "1";

/** As a login has it, without what npm and the tests put there; with the place of a Node that is elsewhere. */
function environment(): Record<string, string> {
  const usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  const path = (process.env.PATH ?? "").split(delimiter);
  const machines = path.find((each) => !each.includes("node_modules") && existsSync(join(each, "node")));
  const proxies = Object.entries(process.env).filter(([name]) => /^(https?|no)_proxy$|_CERTS?$|CERT_FILE$/i.test(name));
  return {
    ...(Object.fromEntries(proxies) as Record<string, string>),
    HOME: process.env.HOME ?? "/root",
    LC_ALL: "C.UTF-8",
    PATH: [...usual, ...(machines === undefined ? [] : [machines])].join(":"),
  };
}

/** Of the Node that a login finds. */
function machinesVersion(): string {
  const { PATH } = environment();
  return execFileSync("node", ["-p", "process.versions.node"], { env: { PATH }, encoding: "utf8" }).trim();
}

/** This tree without what set-up makes, at /srv/clone of that machine. */
function placeClone(): string {
  const made = ["node_modules", "dist", ".git"];
  const files = readdirSync(root).filter((name) => !made.includes(name));
  return `mkdir -p /srv/clone && cp -r ${files.map((name) => `'${join(root, name)}'`).join(" ")} /srv/clone/ && cd /srv/clone`;
}

/** Makes these programs unfindable. */
function without(names: readonly string[]): string {
  const places = environment().PATH?.split(":") ?? [];
  const files = programs.programs
    .filter(({ name }) => names.includes(name))
    .flatMap(({ name, files = [] }) => [...places.map((place) => join(place, name)), ...files]);
  return `rm -f -- ${files.map((file) => `'${file}'`).join(" ")}`;
}

/** Of the distribution that says this of itself in os-release(5). */
const being = (osRelease: string): string => `rm -f /etc/os-release; printf '%s\\n' '${osRelease}' >/etc/os-release`;

const fresh = (...lines: string[]) => onFreshMachine(temporaryDirectory(), lines.join("\n"), environment());

describeKernel("a fresh machine", () => {
  test("gets the one command that installs what is missing, if set-up must not install", async () => {
    const { status, stderr } = await fresh(
      placeClone(),
      without(["ip", "bridge", "ping"]),
      being("ID=debian"),
      "npm run --silent demo -- --no-install",
    );
    expect(stderr).toBe(
      "nearmiss: ip, bridge, ping not found. Nothing was installed, as --no-install or NEARMISS_NO_INSTALL asks. Install with:\n" +
        "  apt-get update && apt-get install -y --no-install-recommends iproute2 iputils-ping\nand try again.\n",
    );
    expect(status).toBe(1);
  });

  test("gets the same through the environment, for npm test, with the tests that would be skipped without it", async () => {
    const { status, stderr } = await fresh(
      placeClone(),
      without(["nft", "curl", "chromium"]),
      being("ID=debian"),
      "NEARMISS_NO_INSTALL=1 npm test --silent",
    );
    expect(stderr).toContain("nearmiss: nft, curl, chromium not found. Nothing was installed");
    expect(stderr).toMatch(/--no-install-recommends nftables curl chromium fonts-dejavu-core\nand try again\.$/m);
    expect(status).toBe(1);
  });

  test("gets it without root, with sudo", async () => {
    const { status, stderr } = await fresh(
      placeClone(),
      without(["ping"]),
      being("ID=debian"),
      "HOME=/tmp setpriv --reuid 65534 --regid 65534 --clear-groups npm run --silent demo",
    );
    expect(stderr).toContain(
      "nearmiss: ping not found. Nothing was installed, since that needs root. Install with:\n" +
        "  sudo apt-get update && sudo apt-get install -y --no-install-recommends iputils-ping\nand try again.\n",
    );
    expect(status).toBe(1);
  });

  test.each([
    ["ID=fedora\nVERSION_ID=43", "  dnf install -y iproute iputils\n"],
    ['ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"', "  zypper --non-interactive install iproute2 iputils\n"],
    ["ID=arch", "  pacman -S --needed iproute2 iputils\n"],
    ["ID=alpine", "  apk add iproute2 iputils-ping\n"],
    [
      "ID=nixos",
      "  apt-get update && apt-get install -y --no-install-recommends iproute2 iputils-ping\n  dnf install -y iproute iputils\n",
    ],
  ])("of another distribution (%j) gets its package names", async (osRelease, line) => {
    const { status, stderr } = await fresh(
      placeClone(),
      without(["ip", "bridge", "ping"]),
      being(osRelease),
      "npm run --silent demo",
    );
    expect(stderr).toContain("Nothing was installed: set-up does that on Debian and Ubuntu only");
    expect(stderr).toContain(line);
    expect(status).toBe(1);
  });

  test("runs a command with its arguments, status and signals, and no process in between", async () => {
    const { stdout } = await fresh(
      `cd '${root}'`,
      "run='sh scripts/run.sh build node -e'",
      "tell='console.log(process.argv.slice(1), process.env.NEARMISS_NO_INSTALL); process.exit(7)'",
      '$run "$tell" -- "two words" --no-install --json; echo "$?"',
      '$run \'process.kill(process.pid, "SIGTERM")\'; echo "$?"',
      "sh -c \"echo \\$\\$; exec $run 'console.log(process.pid)'\" | uniq | wc -l",
    );
    expect(stdout).toBe("[ 'two words', '--json' ] 1\n7\n143\n1\n");
  });

  test.skipIf(isSupportedNode(machinesVersion()))(
    "whose Node is too old, without the registry, gets instructions",
    async () => {
      const { status, stderr } = await fresh(
        placeClone(),
        "export XDG_CACHE_HOME=/srv/cache npm_config_fetch_retries=0 npm_config_registry=http://127.0.0.1:1/",
        "npm run --silent setup",
      );
      expect(stderr).toMatch(
        /^nearmiss: Node [\d.]+ is not supported, and Node 24[\d.]+ could not be fetched: npm failed, the lines above say why\. No package of npm was installed\. Install Node 24 /m,
      );
      expect(status).toBe(1);
    },
  );

  // Removed as packages, so that Debian has something to install.
  test.runIf(isReal && (distribution === "debian" || distribution === "ubuntu"))(
    "runs the demo in its first command, and sets up on Node 18",
    async () => {
      const { status, stdout, stderr } = await fresh(
        placeClone(),
        "dpkg --purge --force-all iproute2 iputils-ping >/dev/null 2>&1 || true",
        "! command -v ip && ! command -v ping || exit 90",
        "export XDG_CACHE_HOME=/srv/cache",
        "npm run --silent demo -- --json || exit",
        "mkdir /srv/old && cd /srv/old && npm install --silent --no-audit --no-fund node-linux-$(node -p process.arch)@18.20.8 >&2 || exit",
        "node=$(echo /srv/old/node_modules/node-linux-*/bin/node); cd /srv/clone",
        'touch bin/nearmiss.ts && "$node" scripts/setup.cjs demo || exit',
        'echo "$("$node" dist/bin/nearmiss.js --version 2>&1)" >&2',
        // The installed command needs neither the cache nor root.
        "rm -rf /srv/cache && setpriv --reuid 65534 --regid 65534 --clear-groups dist/bin/nearmiss --version >&2",
      );
      expect({ status, stderr }).toEqual({
        status: 0,
        stderr: expect.stringContaining("installing iproute2 iputils-ping"),
      });
      expect(JSON.parse(stdout)).toMatchObject({ ok: true });
      expect(stderr).toContain("nearmiss: Node 18.20.8 is not supported");
      expect(stderr).toMatch(/\n0\.1\.0\n$/);
    },
    900_000,
  );
});

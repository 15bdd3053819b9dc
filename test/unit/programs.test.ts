// The packages that set-up installs on each distribution. Its behaviour there: test/kernel/fresh-machine.test.ts.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { findChromium } from "../support/browser.ts";

interface Program {
  readonly name: string;
  readonly for: readonly string[];
  readonly files?: readonly string[];
}

const root = resolve(import.meta.dirname, "../..");
const table = createRequire(import.meta.url)(join(root, "scripts", "programs.cjs")) as {
  readonly programs: readonly Program[];
  findDistribution(osRelease: string): string | undefined;
  installLine(missing: readonly Program[], distribution: string | undefined, isRoot: boolean): string;
  missingFor(purposes: readonly string[]): readonly Program[];
};
const neededFor = (purpose: string) => table.programs.filter((program) => program.for.includes(purpose));

test.each([
  ['PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n', "debian"],
  ["ID=raspbian\nID_LIKE=debian\n", "debian"],
  ["NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n", "ubuntu"],
  ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', "ubuntu"],
  ["ID=fedora\n", "dnf"],
  ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf"],
  ['ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "zypper"],
  ["ID=arch\n", "pacman"],
  ["ID=manjaro\nID_LIKE=arch\n", "pacman"],
  ["ID=alpine\n", "apk"],
  ["ID=nixos\n", undefined],
  ["", undefined],
])("%j installs with %s", (osRelease, expected) => {
  expect(table.findDistribution(osRelease)).toBe(expected);
});

test.each([
  ["debian", true, "apt-get update && apt-get install -y --no-install-recommends iproute2 iputils-ping"],
  ["debian", false, "sudo apt-get update && sudo apt-get install -y --no-install-recommends iproute2 iputils-ping"],
  ["dnf", true, "dnf install -y iproute iputils"],
  ["zypper", false, "sudo zypper --non-interactive install iproute2 iputils"],
  ["pacman", true, "pacman -S --needed iproute2 iputils"],
  ["apk", true, "apk add iproute2 iputils-ping"],
])("the demo's needs are one line: %s, root %s", (distribution, isRoot, expected) => {
  expect(table.installLine(neededFor("demo"), distribution, isRoot)).toBe(expected);
});

test("the compilers of other architectures are named for each distribution", () => {
  const lines = ["debian", "dnf", "zypper", "pacman", "apk"].map((each) =>
    table.installLine(neededFor("compile"), each, true).split(" ").slice(-3).join(" "),
  );
  expect(lines).toEqual([
    "make g++ python3",
    "make gcc-c++ python3",
    "make gcc-c++ python3",
    "make gcc python",
    "make g++ python3",
  ]);
});

test("Ubuntu, whose chromium is a snap, has no command for it", () => {
  const chromium = table.programs.filter(({ name }) => name === "chromium");
  expect(table.installLine(chromium, "ubuntu", true)).toBe("");
  expect(table.installLine(chromium, "debian", true)).toMatch(/ chromium fonts-dejavu-core$/);
});

test("set-up finds the same Chromium as the browser tests", () => {
  const isMissing = table.missingFor(["test"]).some(({ name }) => name === "chromium");
  expect(isMissing).toBe(findChromium() === undefined);
});

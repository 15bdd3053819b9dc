import { describe, expect, test } from "vitest";
import type { Link, VxlanSettings } from "../../node-agent/kernel/codec/link-codec.ts";
import { type Adoptable, type Awaited, chooseVxlan } from "../../node-agent/kernel/devices/adoption.ts";
import { misfits } from "../../node-agent/kernel/devices/device-fit.ts";
import { vtep } from "../support/addresses.ts";
import { agentNetwork } from "../support/kernel.ts";
import { blue, link, vxlanSettings } from "../support/path-facts.ts";

const local = { vtep: vtep("192.0.2.1"), vtepPort: 4789 };
const network = agentNetwork(100, { name: "blue" });
const device = (name: string, settings: Partial<VxlanSettings> = {}, fields: Partial<Link> = {}): Link =>
  link(7, name, { kind: "vxlan", vxlan: { ...vxlanSettings, ...settings }, ...fields });
const ours = device("nmv100", {}, { alias: "nearmiss blue epoch" });

function choose(vxlans: readonly Link[], adoptable: Adoptable = new Set(), awaited?: Awaited): string {
  const choice = chooseVxlan(vxlans, network, local, adoptable, awaited, () => "br-blue");
  if (choice.kind === "own") return "own";
  return choice.kind === "adopted" ? `adopt ${choice.link.name}` : choice.reason.message;
}

describe("the vxlan device of a network", () => {
  test("is ours if there is none, if ours exists, or if others have other VNIs, ports or families", () => {
    const others = [
      device("vx1", { vni: agentNetwork(101).vni }),
      device("vx2", { port: 8472 }),
      device("vx3", { local: vtep("2001:db8::1") }),
    ];
    for (const vxlans of [[], [ours], [device("vx4"), ours], others]) expect(choose(vxlans)).toBe("own");
  });

  test("is adopted if a suitable one is named, by name or as any", () => {
    const vxlans = [device("vx1", { port: 8472 }), device("vx2")];
    expect(choose(vxlans, new Set(["vx2"]))).toBe("adopt vx2");
    expect(choose(vxlans, "all")).toBe("adopt vx2");
    expect(choose([...vxlans, ours], "all")).toBe("own");
  });

  test("is absent if a third-party device has the VNI and may not be adopted: both remedies are named", () => {
    expect(choose([device("vx2")], new Set(["vx9"]))).toMatch(
      /start it with --adopt vx2\); nearmiss agent remove vx2 deletes it if nothing uses it/,
    );
  });

  test("is absent if the device to adopt is unsuitable: the commands that recreate it, in its bridge", () => {
    expect(choose([device("vx2", { l3miss: false, hasRemote: true })], "all")).toContain(
      "nearmiss agent remove vx2; then ip link add vx2 type vxlan id 100 local 192.0.2.1 dstport 4789 nolearning proxy l2miss l3miss; " +
        "ip link set vx2 master br-blue up",
    );
  });

  test("is absent while the adopted one is gone", () => {
    expect(choose([], "all", { name: "vx2", bridge: "br-blue" })).toMatch(
      /^vx2, .* is gone\. Make it again: ip link add vx2 .*master br-blue up/,
    );
    expect(choose([device("vx2")], "all", { name: "vx2", bridge: "br-blue" })).toBe("adopt vx2");
  });
});

test.each<[Partial<VxlanSettings>, RegExp]>([
  [{ proxy: false, l2miss: false }, /without proxy and l2miss/],
  [{ port: 8472 }, /UDP port 8472, not 4789/],
  [{ local: vtep("2001:db8::1") }, /over IPv6, this host's over IPv4/],
  [{ hasRemote: true }, /default destination/],
])("settings %j cannot be changed on a live device", (settings, says) => {
  expect(misfits(device("vx"), blue, local)).toEqual([]);
  expect(misfits(device("vx", settings), blue, local)).toEqual([expect.stringMatching(says)]);
});

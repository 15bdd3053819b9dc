// The hook of docs/moves.md, called by libvirt itself: two daemons with QEMU migrate a guest between hosts of a lab with TLS, tokens and agents.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { waitFor } from "../../testkit/lab/wait.ts";
import { blockOf } from "../docs/blocks.ts";
import { cluster } from "../support/cluster.ts";
import { describeKernel } from "../support/kernel.ts";
import { domainXml, Libvirt } from "./libvirt.ts";

const mac = "52:54:00:00:00:01";

describeKernel("libvirt's hook of docs/moves.md", () => {
  const it = cluster({ hosts: 3, underlay: 4, secured: true });
  const where = () => it.call<{ host: string; preparedHost?: string }>("GET", "/v1/vms/web-1");

  test("prepares, commits and aborts live migrations, and leaves other ends of guests alone", async () => {
    const { lab } = it;
    await it.network("blue", 100);
    const interfaces = [{ network: "blue", mac, ips: ["10.20.1.1"], port: "web-1" }];
    await it.call("POST", "/v1/vms?wait=ready", { name: "web-1", host: "a", interfaces });
    const third = await it.vm("db-1", "c", "blue", 100, "52:54:00:00:00:03", ["10.20.1.3/24"]);
    const { token } = await it.call<{ token: string }>("POST", "/v1/tokens", { role: "operator" });
    expect(lab.controllerUrl).toBe("https://192.0.2.250:4788");
    const files = {
      hosts: { text: lab.hosts.map(({ address, name }) => `${address} ${name}\n`).join("") },
      "libvirt/hooks/qemu": { text: blockOf("docs/moves.md", "#!/bin/sh"), mode: 0o755 },
      "nearmiss/hook-token": { text: token, mode: 0o600 },
      "nearmiss/ca.pem": { text: readFileSync(lab.operatorFiles.ca, "utf8") },
    };
    const [a, b] = (await Promise.all(
      ["a", "b"].map((name) => Libvirt.start(lab.host(name), lab.directory, files)),
    )) as [Libvirt, Libvirt];
    const tunnelEnd = async () => (await it.entries("c", 100)).fdb.find((line) => line.includes(`${mac} dst`));

    await a.write("/run/web-1.xml", domainXml("web-1", mac, "nmb100", "web-1"));
    await a.virsh("create", "/run/web-1.xml");
    expect(await where()).toMatchObject({ host: "a" });
    await third.ping("10.20.1.1");
    await waitFor(async () => (await tunnelEnd())?.includes("192.0.2.1 "), { what: "c to send to a" });

    // A migration that succeeds.
    await a.virsh("migrate", "--live", "web-1", `qemu+tcp://${b.address}/system`);
    expect(await b.virsh("list", "--name")).toContain("web-1");
    expect(await where()).toMatchObject({ host: "b" });
    expect((await where()).preparedHost).toBeUndefined();
    await waitFor(async () => (await tunnelEnd())?.includes("192.0.2.2 "), { what: "c to send to b" });

    // One that is broken off on the way back: it is too slow to end, and the guest stays on b.
    await b.virsh("migrate-setspeed", "web-1", "1");
    const failing = b.virsh("migrate", "--live", "web-1", `qemu+tcp://${a.address}/system`);
    await waitFor(async () => (await where()).preparedHost === "a", { what: "the preparation", everyMs: 50 });
    await waitFor(
      () =>
        b.virsh("domjobabort", "web-1").then(
          () => true,
          () => false,
        ),
      { what: "a migration that can be broken off", everyMs: 50 },
    );
    await expect(failing).rejects.toThrow();
    expect(await b.virsh("list", "--name")).toContain("web-1");
    await waitFor(async () => (await where()).preparedHost === undefined, { what: "the migration to be aborted" });
    expect(await where()).toMatchObject({ host: "b" });

    // A host that nearmiss does not know refuses the migration before it begins.
    await a.exec("hostname", "elsewhere");
    await expect(b.virsh("migrate", "--live", "web-1", `qemu+tcp://${a.address}/system`)).rejects.toThrow(/hook/i);
    expect(await b.virsh("list", "--name")).toContain("web-1");

    await b.virsh("destroy", "web-1");
    expect(await where()).toMatchObject({ host: "b" });
  });
});

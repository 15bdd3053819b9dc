// libvirtd with QEMU on hosts of a lab, each with its own files and name, and without KVM or systemd.
import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../testkit/lab/command.ts";
import type { Host } from "../../testkit/lab/host.ts";
import { waitFor } from "../../testkit/lab/wait.ts";

/** Files of /etc, by their path there. */
type Files = Readonly<Record<string, { readonly text: string; readonly mode?: number }>>;

function settings(address: string): Files {
  const daemon = `auth_unix_rw = "none"
host_uuid = "${randomUUID()}"
listen_tls = 0
listen_tcp = 1
listen_addr = "${address}"
auth_tcp = "none"
`;
  const qemu = `user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
migration_address = "${address}"
stdio_handler = "file"
`;
  return { "libvirt/libvirtd.conf": { text: daemon }, "libvirt/qemu.conf": { text: qemu } };
}

/** Everything below runs in mounts of its own: this machine's /etc is not written to. */
export class Libvirt {
  private constructor(
    private readonly pid: number,
    readonly address: string,
  ) {}

  /** Ends with the lab. */
  static async start(host: Host, directory: string, files: Files): Promise<Libvirt> {
    const home = join(directory, `libvirt-${host.name}`);
    for (const [path, { text, mode = 0o644 }] of Object.entries({ ...settings(host.address), ...files })) {
      mkdirSync(join(home, "etc", path, ".."), { recursive: true });
      writeFileSync(join(home, "etc", path), text, { mode });
    }
    const script = `set -e
      mount --make-rprivate /
      for path in /run /var/lib /var/cache; do mount -t tmpfs tmpfs $path; done
      mkdir /run/upper /run/work /run/lock
      mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work /etc
      echo 'libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin' >> /etc/passwd
      echo 'libvirt-qemu:x:64055:' >> /etc/group
      cp -rp ${join(home, "etc")}/. /etc
      hostname ${host.name}
      exec /usr/sbin/libvirtd --listen`;
    const daemon = host.spawn(["unshare", "-m", "-u", "bash", "-c", script]);
    daemon.stdin.end();
    let said = "";
    for (const stream of [daemon.stdout, daemon.stderr]) stream.on("data", (data) => (said += String(data)));
    const libvirt = new Libvirt(daemon.pid ?? 0, host.address);
    const answers = async () => {
      if (daemon.exitCode !== null) return true;
      return libvirt.virsh("version").then(
        () => true,
        () => false,
      );
    };
    await waitFor(answers, { what: `libvirtd on ${host.name}`, deadlineMs: 90_000, everyMs: 200 });
    if (daemon.exitCode !== null) throw new Error(`libvirtd on ${host.name} ended: ${said}`);
    return libvirt;
  }

  /** @throws CommandError with what virsh says */
  virsh(...args: string[]): Promise<string> {
    return this.exec("virsh", "-c", "qemu:///system", ...args);
  }

  exec(...command: string[]): Promise<string> {
    return run(["nsenter", "-t", `${this.pid}`, "-m", "-u", "-n", "--", ...command]);
  }

  /** As a text in a file that only this daemon's mounts have. */
  async write(path: string, text: string): Promise<void> {
    await run(["nsenter", "-t", `${this.pid}`, "-m", "--", "sh", "-c", `cat > ${path}`], { input: text });
  }
}

/** A guest without disk or system: it has a port, a MAC address and memory to copy. */
export function domainXml(name: string, mac: string, bridge: string, port: string): string {
  return `<domain type="qemu">
  <name>${name}</name>
  <memory unit="MiB">32</memory>
  <os><type arch="x86_64" machine="pc">hvm</type></os>
  <cpu mode="custom"><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type="bridge">
      <mac address="${mac}"/><source bridge="${bridge}"/><target dev="${port}"/><model type="virtio"/>
    </interface>
  </devices>
</domain>
`;
}

// keepalived in a guest: one address of each family, which it shares with the keepalived of another guest.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Guest, guestDevice } from "./guest.ts";
import { LabProcess } from "./process.ts";

export interface KeepalivedOptions {
  readonly guest: Guest;
  /** Its peer's addresses, of the families and in the order of the guest's. */
  readonly peer: readonly string[];
  /** That they share, with prefix lengths. */
  readonly shared: readonly string[];
  /** The higher one has the addresses as long as it is heard. */
  readonly priority: number;
  /** From one advertisement to the next, s: after three without one the other takes over. */
  readonly advertS: number;
  /** For its files. */
  readonly directory: string;
}

/** Debian's package; `-v` prints its version. */
export const keepalivedProgram = "keepalived";

/** VRRP version 3, since version 2 has no fractions of a second (RFC 5798). Unicast: multicast stays on its host. */
function configuration({ guest, peer, shared, priority, advertS }: KeepalivedOptions): string {
  const instances = shared.map((address, i) =>
    [
      `vrrp_instance shared${i} {`,
      "  state BACKUP",
      `  interface ${guestDevice}`,
      `  virtual_router_id ${51 + i}`,
      `  priority ${priority}`,
      `  advert_int ${advertS}`,
      `  unicast_src_ip ${guest.ips[i]}`,
      `  unicast_peer {\n    ${peer[i]}\n  }`,
      `  virtual_ipaddress {\n    ${address}\n  }`,
      "}",
    ].join("\n"),
  );
  return ["global_defs {", `  router_id ${guest.name}`, "  vrrp_version 3", "}", ...instances, ""].join("\n");
}

export class Keepalived {
  private process: LabProcess;

  constructor(private readonly options: KeepalivedOptions) {
    const { guest, directory } = options;
    writeFileSync(this.file("conf"), configuration(options), { mode: 0o600 });
    this.process = startIn(guest, directory);
  }

  /** The end of its log, for a message. */
  describe(): string {
    return this.process.describe("is not where it should be");
  }

  /** As a crash: it neither says that it leaves nor takes its addresses down. */
  async kill(): Promise<void> {
    const { pid } = this.process;
    if (pid === undefined) return;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
    for (const each of [...children.map(Number), pid]) process.kill(each, "SIGKILL");
    await this.process.ended;
    // Another process may have the number by now, and would be taken for it.
    for (const each of ["pid", "vrrp"]) rmSync(this.file(each), { force: true });
  }

  /** After `kill`. */
  restart(): void {
    this.process = startIn(this.options.guest, this.options.directory);
  }

  async stop(): Promise<void> {
    await this.process.stop("SIGTERM");
  }

  private file(suffix: string): string {
    return fileOf(this.options.guest, this.options.directory, suffix);
  }
}

const fileOf = ({ name }: Guest, directory: string, suffix: string): string =>
  join(directory, `keepalived-${name}.${suffix}`);

/** In mounts of its own: two of them must not share /run. */
function startIn(guest: Guest, directory: string): LabProcess {
  const files = ["conf", "pid", "vrrp"].map((suffix) => fileOf(guest, directory, suffix));
  const script = 'mount -t tmpfs tmpfs /run && exec "$0" -n -l -P -f "$1" -p "$2" -r "$3"';
  return new LabProcess(`keepalived of ${guest.name}`, guest, [
    "unshare",
    "--mount",
    "sh",
    "-c",
    script,
    keepalivedProgram,
    ...files,
  ]);
}

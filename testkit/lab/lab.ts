// Hosts and guests in network namespaces on one machine: the infrastructure of the demo, the kernel tests and the
// benches. Everything is inside the lab's own namespaces, and is removed with them in any case.
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ApiReply, callApi, type LabWebSocket, openWebSocket, type Server } from "./api.ts";
import { removeAtExit } from "./cleanup.ts";
import { ipBatch } from "./command.ts";
import type { Guest } from "./guest.ts";
import { Host } from "./host.ts";
import { deleteNamespaces, Namespace, namespacesNamed } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import { authority, controllerPort, nearmiss, type ProgramOptions, startController } from "./programs.ts";
import * as underlay from "./underlay.ts";

export interface LabOptions {
  /** How many ("a", "b", …), or their names. */
  readonly hosts: number | readonly string[];
  readonly underlay: underlay.UnderlayFamily;
  /** Default 1500. */
  readonly underlayMtu?: number;
  /** TLS, tokens and enrolment, as in real life; default: `--insecure`, where none of it matters. */
  readonly secured?: boolean;
}

/** Why no lab can be made here, or undefined where it can. */
export function whyNoLab(): string | undefined {
  if (process.platform !== "linux") return "network namespaces exist on Linux only";
  return process.getuid?.() === 0 ? undefined : "making network namespaces needs root";
}

/** @throws Error without root; everything created before a failure is removed again */
export async function createLab(options: LabOptions): Promise<Lab> {
  const obstacle = whyNoLab();
  if (obstacle !== undefined) throw new Error(obstacle);
  const names = typeof options.hosts === "number" ? underlay.hostNames(options.hosts) : options.hosts;
  const prefix = unusedPrefix();
  const lab = new Lab(prefix, underlay.planUnderlay(prefix, names, options.underlay, options.underlayMtu ?? 1_500), {
    secured: options.secured ?? false,
  });
  try {
    await lab.build();
    return lab;
  } catch (error) {
    await lab.remove();
    throw error;
  }
}

/** Names of namespaces are the machine's: one that is taken belongs to another run. */
function unusedPrefix(): string {
  for (;;) {
    const prefix = `nm${randomBytes(3).toString("hex")}`;
    if (namespacesNamed(prefix).length === 0) return prefix;
  }
}

export class Lab {
  readonly hosts: readonly Host[];
  /** The controller's namespace, with its own underlay address. */
  readonly controllerNamespace: Namespace;
  readonly controllerAddress: string;
  readonly controllerUrl: string;
  readonly secured: boolean;
  /** For files of the lab's programs; removed with the lab. */
  readonly directory = mkdtempSync(join(tmpdir(), "nearmiss-lab-"));
  readonly #namespaces = new Set<string>();
  readonly #processes = new Set<LabProcess>();
  readonly #unregister: () => void;
  #ports = 0;
  #controller: LabProcess | undefined;
  #db = join(this.directory, "controller.db");
  #removal: Promise<void> | undefined;

  constructor(
    readonly prefix: string,
    readonly plan: underlay.UnderlayPlan,
    { secured }: { readonly secured: boolean },
  ) {
    this.#unregister = removeAtExit({ namespaces: this.#namespaces, directory: this.directory });
    this.controllerNamespace = new Namespace(plan.controller.namespace);
    this.controllerAddress = plan.controller.address;
    this.secured = secured;
    this.controllerUrl = `${secured ? "https" : "http"}://${authority(plan.controller.address)}`;
    const surroundings = {
      controllerUrl: this.controllerUrl,
      secured,
      directory: this.directory,
      joinLine: (name: string, vtep: string) => this.operate("host", "add", name, "--vtep", vtep),
      switch: new Namespace(plan.switch),
      nextPort: () => `vnet${this.#ports++}`,
      admit: (name: string) => this.#admit(name),
      dismiss: (guest: Guest) => this.#dismiss(guest),
      track: (process: LabProcess) => this.#processes.add(process),
    };
    this.hosts = plan.hosts.map((each) => new Host(each.name, each, surroundings));
  }

  /** `createLab` calls it, once. */
  async build(): Promise<void> {
    for (const name of underlay.namespacesOf(this.plan)) this.#namespaces.add(name);
    await ipBatch(underlay.creation(this.plan));
    await ipBatch(underlay.switchSetup(this.plan), this.plan.switch);
    const attached = underlay.attachments(this.plan);
    await Promise.all(attached.map((each) => ipBatch(underlay.attachmentSetup(each), each.namespace)));
    await ipBatch(underlay.switchSettled(this.plan), this.plan.switch);
  }

  /** @throws Error for a name that the lab does not have */
  host(name: string): Host {
    const found = this.hosts.find((each) => each.name === name);
    if (!found) throw new Error(`the lab has no host "${name}" but ${this.hosts.map((each) => each.name).join(", ")}`);
    return found;
  }

  /** The controller that was started last. @throws Error before the first */
  get controller(): LabProcess {
    if (!this.#controller) throw new Error("no controller was started in this lab");
    return this.#controller;
  }

  /** Resolves when it listens; with a fresh database in `directory` unless `db` says otherwise. */
  async startController(options: ProgramOptions & { readonly db?: string } = {}): Promise<LabProcess> {
    const { db = join(this.directory, "controller.db"), ...rest } = options;
    this.#db = db;
    this.#controller = await startController(this.controllerNamespace, {
      ...rest,
      db,
      address: this.controllerAddress,
      secured: this.secured,
    });
    this.#processes.add(this.#controller);
    return this.#controller;
  }

  /** The credentials of a secured lab's operator: a token with all rights, and the CA for checking the controller. */
  get operatorFiles(): { readonly token: string; readonly ca: string } {
    return { token: `${this.#db}.admin-token`, ca: join(`${this.#db}.pki`, "ca.pem") };
  }

  /** Runs `nearmiss` beside the controller. @returns its standard output. @throws CommandError */
  operate(...args: readonly string[]): Promise<string> {
    const { token, ca } = this.operatorFiles;
    const secrets = this.secured ? { NEARMISS_TOKEN_FILE: token, NEARMISS_CA: ca } : {};
    const env = { NEARMISS_CONTROLLER: this.controllerUrl, ...secrets };
    return this.controllerNamespace.exec(nearmiss(...args), { env });
  }

  /** One REST call to the controller; every status is a reply. */
  api<Body = unknown>(method: string, path: string, body?: unknown): Promise<ApiReply<Body>> {
    return callApi<Body>(this.#server, method, path, body);
  }

  openWebSocket(path: string): Promise<LabWebSocket> {
    return openWebSocket(this.#server, path);
  }

  get #server(): Server {
    const { token, ca } = this.operatorFiles;
    const secrets = this.secured && { token: readFileSync(token, "utf8").trim(), ca: readFileSync(ca, "utf8") };
    return {
      namespace: this.controllerNamespace.namespace,
      address: this.controllerAddress,
      port: controllerPort,
      ...(secrets ? { secrets } : {}),
    };
  }

  /** Stops all programs, agents before the controller, and removes everything. May be called again at any time. */
  remove(): Promise<void> {
    this.#removal ??= this.#remove();
    return this.#removal;
  }

  async #remove(): Promise<void> {
    const others = [...this.#processes].filter((each) => each !== this.#controller);
    await Promise.all(others.map((each) => each.stop()));
    await this.#controller?.stop();
    await deleteNamespaces([...this.#namespaces]);
    this.#namespaces.clear();
    rmSync(this.directory, { recursive: true, force: true });
    this.#unregister();
  }

  #admit(name: string): string {
    if (this.#removal) throw new Error("the lab is being removed");
    const namespace = `${this.prefix}-vm-${name}`;
    if (this.#namespaces.has(namespace)) throw new Error(`the lab has a guest "${name}" already`);
    this.#namespaces.add(namespace);
    return namespace;
  }

  #dismiss(guest: Guest): void {
    this.#namespaces.delete(guest.namespace);
  }
}

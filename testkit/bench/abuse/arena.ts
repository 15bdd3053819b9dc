// Where controllers are attacked: a namespace with the addresses of all sides, honest clients, the server that discards, and a
// filled database that each controller starts from.
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { issueServerCertificate, makeCa, validityFrom } from "../../../controller/pki/x509.ts";
import { makeHostKey, makeRequest } from "../../../node-agent/identity/request.ts";
import { type Credentials, enrolPath } from "../../../schema/agent/index.ts";
import type { JoinTokenView } from "../../../schema/rest/index.ts";
import { callApi } from "../../lab/api.ts";
import { removeAtExit } from "../../lab/cleanup.ts";
import { ipBatch } from "../../lab/command.ts";
import { deleteNamespaces, Namespace } from "../../lab/namespace.ts";
import { LabProcess } from "../../lab/process.ts";
import { nearmiss } from "../../lab/programs.ts";
import type { Progress } from "../progress.ts";
import { allowedCpus, type Cpus, planCpus } from "./cpus.ts";
import { CrewMember, pinned } from "./crew.ts";
import type { HostIdentity, Means, Sizes, Target } from "./means.ts";
import type { AttackerOrder } from "./programs/attacker.ts";
import type { DiscardOrder } from "./programs/discard.ts";
import type { HostOrder } from "./programs/honest-host.ts";
import type { OperatorOrder } from "./programs/honest-operator.ts";

/** RFC 5737 and RFC 3849: addresses for documentation, which no route of the machine leads to. */
const addresses = { ipv4: "192.0.2.1", ipv6: "2001:db8:c::1" } as const;
const attackers = { from: "192.0.2.66", from64: "2001:db8:bad:1" } as const;
export const target: Target = { ...addresses, port: 4788 };
export const discardTarget: Target = { ...addresses, port: 4789 };

const shared = { name: "shared", vni: 100, subnets: ["10.64.0.0/10"] } as const;
/** The attackers' own. */
const own = { name: "own", vni: 200, subnets: ["10.0.0.0/8"] } as const;
const hosts = ["honest", "rogue", ...Array.from({ length: 10 }, (_, n) => `h-${n}`)] as const;
/** A VM of `shared` on another host than the honest one. */
const askedIp = "10.64.0.2";

export interface ArenaOptions {
  /** VMs in the inventory. */
  readonly vms: number;
  /** File descriptors of the controller. */
  readonly files: number;
  readonly sizes: Sizes;
}

interface Secrets {
  readonly ca: string;
  readonly admin: string;
}

interface Prepared {
  readonly ca: string;
  readonly honestToken: string;
  readonly honest: HostIdentity;
  readonly means: Means;
}

export class Arena {
  readonly cpus: Cpus = planCpus(allowedCpus());
  readonly operator: CrewMember<OperatorOrder>;
  readonly host: CrewMember<HostOrder>;
  readonly discard: CrewMember<DiscardOrder>;
  #prepared: Prepared | undefined;
  #controllers = 0;

  private constructor(
    private readonly namespace: Namespace,
    private readonly directory: string,
    private readonly options: ArenaOptions,
    private readonly unregister: () => void,
  ) {
    // Honest clients work little and wait much; where they share a processor with attackers, waiting for it would be measured.
    this.operator = new CrewMember("honest-operator", this.#post(this.cpus.honest, -15));
    this.host = new CrewMember("honest-host", this.#post(this.cpus.honest, -15));
    this.discard = new CrewMember("discard", this.#post(this.cpus.attacked, 0));
  }

  static async build(options: ArenaOptions, progress: Progress): Promise<Arena> {
    const name = `nm${randomBytes(3).toString("hex")}-abuse`;
    const directory = mkdtempSync(join(tmpdir(), "nearmiss-bench-"));
    const unregister = removeAtExit({ namespaces: new Set([name]), directory });
    await ipBatch([`netns add ${name}`]);
    const namespace = new Namespace(name);
    // A stranger's /64 is a route, not so many addresses.
    namespace.sysctl("ipv6/ip_nonlocal_bind", 1);
    await namespace.ip(
      "link set lo up",
      ...[addresses.ipv4, attackers.from].map((ip) => `addr add ${ip}/32 dev lo`),
      `addr add ${addresses.ipv6}/128 dev lo nodad`,
      `route add local ${attackers.from64}::/64 dev lo`,
    );
    const arena = new Arena(namespace, directory, options, unregister);
    try {
      await arena.#startDiscard();
      progress("filling a database");
      arena.#prepared = await arena.#prepare();
      return arena;
    } catch (error) {
      await arena.remove();
      throw error;
    }
  }

  /** One that has just started, with the filled database. */
  async startController(): Promise<LabProcess> {
    const directory = join(this.directory, String(++this.#controllers));
    cpSync(join(this.directory, "filled"), directory, { recursive: true });
    return this.#runController(directory);
  }

  /** Honest clients work with the controller that runs, until the next one or the end. */
  async beginHonest(): Promise<void> {
    const { ca, honestToken, honest } = this.#whole;
    await Promise.all([
      this.operator.ask({ kind: "begin", target, ca, token: honestToken }),
      this.host.ask({ kind: "begin", target, ca, identity: honest, vni: shared.vni, ip: askedIp }),
    ]);
  }

  async endHonest(): Promise<void> {
    await Promise.all([this.operator.ask({ kind: "end" }), this.host.ask({ kind: "end" })]);
  }

  get means(): Means {
    return this.#whole.means;
  }

  startAttacker(): CrewMember<AttackerOrder> {
    return new CrewMember("attacker", this.#post(this.cpus.attackers, 0));
  }

  async remove(): Promise<void> {
    await Promise.all([this.operator.end(), this.host.end(), this.discard.end()]);
    await deleteNamespaces([this.namespace.namespace]);
    rmSync(this.directory, { recursive: true, force: true });
    this.unregister();
  }

  get #whole(): Prepared {
    if (!this.#prepared) throw new Error("the database is not filled yet");
    return this.#prepared;
  }

  #post(cpus: string, nice: number) {
    return { namespace: this.namespace.namespace, cpus, nice };
  }

  async #startDiscard(): Promise<void> {
    const validity = validityFrom(new Date(), 86_400_000);
    const ca = await makeCa("nearmiss bench", validity);
    const issuer = { certificate: new X509Certificate(ca.certificate), key: createPrivateKey(ca.key) };
    const { certificate, key } = await issueServerCertificate(issuer, [discardTarget.ipv4], validity);
    await this.discard.ask({ port: discardTarget.port, certificate, key });
  }

  async #runController(directory: string): Promise<LabProcess> {
    const args = ["--listen", `[::]:${target.port}`, "--db", join(directory, "nearmiss.db"), "--tls", "self"];
    const command = nearmiss("controller", ...args, "--name", target.ipv4);
    const limited = ["prlimit", `--nofile=${this.options.files}:${this.options.files}`, ...command];
    const process = new LabProcess(
      "controller",
      this.namespace,
      pinned({ cpus: this.cpus.attacked, nice: 0 }, limited),
    );
    try {
      await process.waitForLog((line) => line.msg === "listening", "its log to say that it listens");
      return process;
    } catch (error) {
      await process.stop("SIGKILL");
      throw error;
    }
  }

  async #prepare(): Promise<Prepared> {
    const directory = join(this.directory, "filled");
    mkdirSync(directory);
    const controller = await this.#runController(directory);
    const db = join(directory, "nearmiss.db");
    const secrets: Secrets = {
      ca: readFileSync(join(`${db}.pki`, "ca.pem"), "utf8"),
      admin: readFileSync(`${db}.admin-token`, "utf8").trim(),
    };
    const lines = join(directory, "lines");
    writeFileSync(lines, [...inventoryLines(this.options.vms)].join(""));
    await this.namespace.exec(nearmiss("import", lines), {
      env: {
        NEARMISS_CONTROLLER: `https://${target.ipv4}:${target.port}`,
        NEARMISS_TOKEN_FILE: `${db}.admin-token`,
        NEARMISS_CA: join(`${db}.pki`, "ca.pem"),
      },
    });
    const token = async (role: string, networks?: readonly string[]) =>
      (await this.#post201<{ token: string }>(secrets, "/v1/tokens", { role, ...(networks ? { networks } : {}) }))
        .token;
    const prepared: Prepared = {
      ca: secrets.ca,
      honestToken: await token("operator"),
      honest: await this.#enrol(secrets, "honest"),
      means: {
        ...attackers,
        operatorToken: await token("operator", [own.name]),
        viewerToken: await token("viewer", [own.name, shared.name]),
        identity: await this.#enrol(secrets, "rogue"),
        sharedVni: shared.vni,
        vms: this.options.vms,
        network: own.name,
        sizes: this.options.sizes,
      },
    };
    await controller.stop();
    return prepared;
  }

  async #enrol(secrets: Secrets, host: string): Promise<HostIdentity> {
    const join = await this.#post201<JoinTokenView>(secrets, `/v1/hosts/${host}/join-token`, {});
    const key = makeHostKey();
    const csr = await makeRequest(key, host);
    const { certificate } = await this.#post201<Credentials>(secrets, enrolPath, { token: join.token, csr });
    return { host, certificate, key };
  }

  async #post201<Body>({ ca, admin: token }: Secrets, path: string, body: object): Promise<Body> {
    const { namespace } = this.namespace;
    const server = { namespace, address: target.ipv4, port: target.port, secrets: { ca, token } };
    const reply = await callApi<Body>(server, "POST", path, body);
    if (reply.status !== 201) throw new Error(`${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply.body;
  }
}

function* inventoryLines(vms: number): Generator<string> {
  const line = (value: object) => `${JSON.stringify(value)}\n`;
  for (const network of [shared, own]) yield line({ kind: "network", ...network });
  for (const [n, name] of hosts.entries()) yield line({ kind: "host", name, vtep: `198.51.100.${n + 1}` });
  const rogueGuest = { network: own.name, mac: "52:54:02:00:00:01", ips: [] };
  yield line({ kind: "vm", name: "rogue-guest", host: "rogue", interfaces: [rogueGuest] });
  for (let n = 1; n <= vms; n++) {
    const bytes = [n >> 16, (n >> 8) & 255, n & 255];
    const mac = `52:54:00:${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
    const ips = [`10.${64 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`];
    yield line({
      kind: "vm",
      name: `vm-${n}`,
      host: hosts[n % hosts.length],
      interfaces: [{ network: shared.name, mac, ips }],
    });
  }
}

// All benches: what each measures, its options, and how its result is printed.
import { abuseBench, details } from "./abuse/bench.ts";
import { attackNames, shortAttackNames } from "./abuse/names.ts";
import { reportAbuse } from "./abuse/report.ts";
import { type Bench, bench } from "./bench.ts";
import { broadcastBench } from "./broadcast/bench.ts";
import { reportBroadcast } from "./broadcast/report.ts";
import { changeBench } from "./change/bench.ts";
import { reportChanges } from "./change/report.ts";
import { failoverBench } from "./failover/bench.ts";
import { reportFailover } from "./failover/report.ts";
import { firstPacket } from "./first-packet/bench.ts";
import { report } from "./first-packet/report.ts";
import { firstPacketBurst } from "./first-packet-burst/bench.ts";
import { reportBurst } from "./first-packet-burst/report.ts";
import { firstPacketStorm } from "./first-packet-storm/bench.ts";
import { reportStorm } from "./first-packet-storm/report.ts";
import { fleetBench } from "./fleet/bench.ts";
import { reportFleet } from "./fleet/report.ts";
import { hostStateBench } from "./host-state/bench.ts";
import { reportHostState } from "./host-state/report.ts";
import { idleBench } from "./idle/bench.ts";
import { reportIdle } from "./idle/report.ts";
import { importBench } from "./import/bench.ts";
import { reportImport } from "./import/report.ts";
import { indexBench } from "./index/bench.ts";
import { reportIndex } from "./index/report.ts";
import { lookupBench } from "./lookup/bench.ts";
import { reportLookup } from "./lookup/report.ts";
import { type ModeName, modeNames } from "./modes/mode.ts";
import { moveBench } from "./move/bench.ts";
import { reportMove } from "./move/report.ts";
import { families, flag, names, number, numbers, ratio } from "./options.ts";
import { programBench } from "./program/bench.ts";
import { reportProgram } from "./program/report.ts";
import { reconcileBench } from "./reconcile/bench.ts";
import { reportReconcile } from "./reconcile/report.ts";
import { registerBench } from "./register/bench.ts";
import { reportRegister } from "./register/report.ts";
import { searchBench } from "./search/bench.ts";
import { reportSearch } from "./search/report.ts";
import { startBench } from "./start/bench.ts";
import { reportStart } from "./start/report.ts";
import { streamBench } from "./stream/bench.ts";
import { reportStream } from "./stream/report.ts";

const modes = (whole: readonly ModeName[], short = whole) => names("with commas between", modeNames, whole, short);

export const benches: Readonly<Record<string, Bench>> = {
  "first-packet": bench({
    about:
      "the first packet between two new VMs, in all modes, and the frames that each mode sends to hosts which do not need them",
    options: {
      modes: modes(
        modeNames.filter((name) => name !== "on-demand-cold"),
        ["static", "nearmiss", "on-demand-far", "replicate", "prefetch", "nearmiss-announce-off"],
      ),
      families: families([4, 6]),
      trials: number("per mode and family", 500, 10),
      "slow-trials": number("the same for modes that wait for the guest's own retry", 25, 1),
      hosts: numbers("numbers of hosts to count replicated frames with", [2, 8, 32], [3], 2),
      steps: flag("follow nearmiss's frames on their way; costs some time itself"),
      memory: ratio("ceiling: median of networks in memory : static entries", 5, 60),
      prefetch: ratio("ceiling: median with prefetched entries : static entries", 1.15, 20),
      demand: ratio("ceiling: median on demand : static entries", 12, 200),
      announce: ratio("floor: median with announce off : on demand", 1_000, 3),
      p95: ratio("ceiling: p95 of networks in memory : median of static entries", 8, 300),
      p99: ratio("ceiling: p99 of networks in memory : their own median", 4, 100),
      ipv6: ratio("ceiling: median of networks in memory with IPv6 : with IPv4", 1.15, 10),
      retried: number("ceiling: first packets of networks in memory that are sent again", 0, 3, 0),
    },
    run: ({ modes, families, trials, "slow-trials": slowTrials, hosts, steps, ...ceilings }, progress) =>
      firstPacket({ modes, families, trials, slowTrials, hosts, steps, ceilings }, progress),
    report,
    holds: ({ missed }) => missed.length === 0,
  }),
  broadcast: bench({
    about:
      "where copies of a guest's broadcasts go in a network with VMs on two of many hosts, beside head-end flooding",
    options: {
      hosts: numbers("numbers of hosts", [2, 8, 32], [3], 2),
      frames: number("broadcasts that the guest sends", 1_000, 100),
    },
    run: broadcastBench,
    report: reportBroadcast,
    holds: ({ missed }) => missed.length === 0,
  }),
  failover: bench({
    about:
      "how long an address of keepalived does not answer after a failover, beside the same pair on one plain bridge",
    options: {
      failovers: number(
        "takeovers on each side: killed and with a vanished host in turn, with a switch-back after each",
        25,
        2,
        2,
      ),
      advert: number("ms between two advertisements", 100, 1_000),
      median: number("ceiling: ms above the median of one bridge", 50, 1_000),
      p99: number("ceiling: ms above the p99 of one bridge", 150, 3_000),
    },
    run: failoverBench,
    report: reportFailover,
    holds: ({ missed }) => missed.length === 0,
  }),
  "first-packet-burst": bench({
    about: "the first packets of many guests at the same moment",
    options: {
      modes: modes(
        ["static", "nearmiss", "replicate", "replicate-alone", "prefetch"],
        ["static", "nearmiss", "replicate"],
      ),
      families: families([4, 6]),
      guests: number("guests", 200, 16, 8),
      rounds: number("bursts per mode and family", 5, 1),
      p99: ratio("ceiling: p99 of networks in memory : their own median", 4, 100),
      retried: number("ceiling: their first packets that are sent again", 0, 3, 0),
    },
    run: firstPacketBurst,
    report: reportBurst,
    holds: ({ missed }) => missed.length === 0,
  }),
  "first-packet-storm": bench({
    about: "first packets while another guest of the same host scans a /16",
    options: {
      modes: modes(["nearmiss"]),
      families: families([4]),
      trials: number("per mode and family", 100, 5),
      rate: number("questions a second; 0: as many as a packet socket takes", 0, 0, 0),
    },
    run: firstPacketStorm,
    report: reportStorm,
  }),
  abuse: bench({
    about:
      "what others feel of attacks on a controller, by strangers, hosts and tenants, and of a guest's flood on its host",
    details,
    options: {
      attacks: names("with commas between", attackNames, attackNames, shortAttackNames),
      rounds: number("turns of each: in peace, control, attacked", 3, 1),
      turn: number("length of a turn, ms", 4_000, 500),
      grow: number("how long an attack may take to its full size, ms", 8_000, 1_000),
      vms: number("VMs in the inventory", 20_000, 2_000, 100),
      files: number("file descriptors that the controller may have", 1_024, 256, 128),
      rate: number("strangers: requests of each of six kinds a second", 20),
      connections: number("hold: connections that a stranger keeps open", 3_000, 500),
      keys: number("interest: keys in a declaration", 990_000, 200_000),
      "held-keys": number("slow-reader: keys in a declaration", 200_000, 50_000),
      questions: number("questions: in a frame", 900),
      sockets: number("silent-sockets: WebSockets", 1_500, 300),
      idle: number("idle-connections: of one token", 1_500, 300),
      logs: number("log: requests at the same time", 30),
      "import-mib": number("dry-run: size of the body, MiB", 18, 2),
      packets: number("guests' attacks: first packets of another tenant in each turn", 50, 10),
      flood: number("guests' attacks: length of a flood, seconds", 10, 4),
      ratio: number("ceiling: p99 of honest operations, attacked : control", 2, 10),
      slack: number("ms that are added to that ceiling", 1, 100, 0),
      memory: number("ceiling: MiB of resident memory above peace", 64, 256),
      "first-packets": number("ceiling: median of first packets, during and after a flood : in peace", 3, 10),
      back: number("ceiling: seconds from the end of an attack until all is as in peace", 5, 10),
    },
    run: abuseBench,
    report: reportAbuse,
    holds: ({ attacks }) => attacks.every(({ faults }) => faults.length === 0),
  }),
  idle: bench({
    about:
      "what agents with networks in memory, and the controller, take while nothing happens, beside an empty Node process",
    options: {
      networks: number("networks, with a VM on each host", 10),
      knowledge: names("on-demand, replicate or prefetch", ["on-demand", "replicate", "prefetch"], ["replicate"]),
      watching: flag("also an agent that watches nothing of the kernel, and so what watching takes"),
      settle: number("seconds before the measurement", 30, 3),
      seconds: number("length of the measurement", 60, 10),
      cpu: ratio("ceiling: processor time of an agent with a warm fast path, %", 1, 15),
      "watching-cpu": ratio("ceiling: processor time of watching the kernel, %", 0.1, 5),
      agent: ratio("ceiling: its resident memory : an empty Node process", 1.5, 4),
      controller: ratio("ceiling: resident memory of the controller : an empty Node process", 2.2, 6),
    },
    run: ({ cpu, agent, controller, "watching-cpu": watching, knowledge, ...rest }, progress) => {
      const bounds = { cpu, agent, controller, watching };
      return idleBench({ ...rest, knowledge: knowledge[0] ?? "replicate", bounds }, progress);
    },
    report: reportIdle,
    holds: ({ missed }) => missed.length === 0,
  }),
  import: bench({
    about: "one import of many VMs, and the latency of other requests during it",
    options: {
      vms: number("VMs in the import", 100_000, 2_000),
      agents: number("hosts, each with an agent connected", 100, 10, 2),
      seconds: number("how long others are watched in peace", 5, 1),
      raw: ratio("floor by time: VMs of the import : rows of SQLite with a full fsync each", 5, 0.1),
      mib: number("ceiling of the resident set, MiB beyond that of a process that has only loaded the same", 256, 256),
      ms: number("ceiling of a GET's p99 during the import, ms", 50, 1_000),
    },
    run: ({ raw, mib, ms, ...rest }, progress) => importBench({ ...rest, bounds: { raw, mib, ms } }, progress),
    report: reportImport,
    holds: ({ missed }) => missed.length === 0,
  }),
  index: bench({
    about:
      "what the inventory takes: memory of a VM, a start beside a plain scan of the same tables, look-ups beside a plain Map",
    options: {
      vms: numbers("numbers of VMs", [1_000, 10_000, 100_000, 1_000_000], [1_000, 5_000], 100),
      rounds: number("of each", 5, 1),
    },
    run: indexBench,
    report: reportIndex,
  }),
  register: bench({
    about: "VMs that many clients post at the same time, beside stock Fastify, which stores nothing, and SQLite alone",
    options: {
      clients: numbers("numbers of clients", [1, 32, 256], [1, 32], 1),
      rounds: number("turns of each", 5, 1),
      turn: number("length of a turn, ms", 5_000, 1_000, 100),
    },
    run: registerBench,
    report: reportRegister,
  }),
  lookup: bench({
    about:
      "questions of many agents and of HTTP clients in inventories of several sizes, beside stock Fastify, a bare ws echo and an echo in C",
    options: {
      vms: numbers("VMs in the inventory", [1_000, 10_000, 100_000, 1_000_000], [1_000]),
      rounds: number("turns of each", 5, 1),
      turn: number("length of a turn, ms", 2_000, 500, 100),
      many: ratio("floor per CPU second: look-ups, 64 a frame : stock Fastify's GET", 15, 0.5),
      one: ratio("floor per CPU second: look-ups, one a frame : bare ws echo", 0.8, 0.02),
      get: ratio("floor per CPU second: GET /v1/resolve : stock Fastify's GET", 0.6, 0.03),
    },
    run: ({ many, one, get, ...rest }, progress) => lookupBench({ ...rest, bounds: { many, one, get } }, progress),
    report: reportLookup,
    holds: ({ missed }) => missed.length === 0,
  }),
  stream: bench({
    about:
      "many consumers of the event stream while changes are made, beside a bare ws server that sends the same messages",
    options: {
      consumers: number("consumers", 2_000, 50),
      rate: number("events a second", 1_000, 200),
      seconds: number("how long changes are made", 10, 2),
      batch: number("changes in one revision at most", 50),
    },
    run: streamBench,
    report: reportStream,
  }),
  search: bench({
    about:
      "a page of VMs by name, IP, MAC, label, host and network, overview and map, in a small fleet and in a large one",
    options: {
      vms: number("VMs in the large fleet", 100_000, 2_000, 1_000),
      rounds: number("of each search", 100, 10),
    },
    run: searchBench,
    report: reportSearch,
  }),
  start: bench({
    about:
      "commands that need no controller, beside an empty Node process: what loading takes; and the status of a whole fleet",
    options: {
      runs: number("processes of each", 101, 5),
      bare: ratio("ceiling: version, help and unknown commands : an empty process", 1.3, 20),
      command: ratio("ceiling: a command's own help, its wrong options, completion : an empty process", 3, 40),
      hosts: number("registered where `nearmiss status` is asked, each with a VM and without an agent", 10_000, 500),
      status: number("ceiling: ms of `nearmiss status`", 300, 10_000),
    },
    run: ({ bare, command, status, ...rest }, progress) =>
      startBench({ ...rest, bounds: { bare, command, status } }, progress),
    report: reportStart,
    holds: ({ missed }) => missed.length === 0,
  }),
  fleet: bench({
    about: "a controller that was killed and is back, and how soon all its agents are, beside a bare ws server",
    options: {
      agents: number("agents", 10_000, 50, 2),
      held: number("cached VMs of other hosts per agent", 20),
      tls: flag("with TLS and a certificate of each agent's own; enrolling 10,000 takes minutes"),
    },
    run: fleetBench,
    report: reportFleet,
  }),
  program: bench({
    about:
      "how fast answers become kernel entries: by the agent, by batched rtnetlink in C, and by ip and bridge, started for each entry",
    options: {
      cached: numbers("answers that are in the kernel already", [1_000, 10_000, 100_000], [1_000]),
      rounds: number("turns of each", 5, 1),
      answers: number("answers in a turn", 8_192, 2_048),
      "exec-answers": number("the same for ip and bridge", 100, 10),
      native: ratio("floor per CPU second: the agent : batched rtnetlink in C", 0.8, 0.02),
      exec: ratio("floor per CPU second: the agent : ip and bridge", 300, 10),
    },
    run: ({ "exec-answers": execAnswers, native, exec, ...rest }, progress) =>
      programBench({ ...rest, execAnswers, bounds: { native, exec } }, progress),
    report: reportProgram,
    holds: ({ missed }) => missed.length === 0,
  }),
  "host-state": bench({
    about:
      "a host's kernel entries beside the addresses that its guests used within the idle timeout, of up to a million VMs",
    options: {
      vms: numbers("registered VMs", [1_000, 10_000, 100_000, 1_000_000], [10_000]),
      idle: number("idle timeout, seconds", 30, 3),
      rate: number("packets a second", 1_000, 300),
      drift: number("VMs by which popularity moves on in an idle timeout", 1_000, 100, 0),
      entries: ratio("ceiling: kernel entries of a kind : addresses used", 1.1, 3),
    },
    run: hostStateBench,
    report: reportHostState,
    holds: ({ missed }) => missed.length === 0,
  }),
  change: bench({
    about:
      "what a change of a network in memory costs, and of one on demand, with few and many hosts in the network, and in the fleet",
    options: {
      hosts: numbers("hosts of the network", [16, 32, 64, 100], [4, 16], 4),
      fleet: numbers("connected hosts; at least those of the network", [100, 1_000], [16, 64], 4),
      asked: number("hosts that have asked for the VM, on demand", 4, 2),
      changes: number("moves of each", 500, 50),
      linear: ratio(
        "ceiling: CPU time, and bytes, for each host, with the most hosts of the network : the fewest",
        1.2,
        10,
      ),
      "fleet-cpu": ratio("ceiling: CPU time of a change, in the largest fleet : the smallest", 1.2, 10),
    },
    run: ({ linear, "fleet-cpu": fleetCpu, ...rest }, progress) =>
      changeBench({ ...rest, bounds: { linear, fleet: fleetCpu } }, progress),
    report: reportChanges,
    holds: ({ missed }) => missed.length === 0,
  }),
  move: bench({
    about:
      "from the request that moves a VM until a third host's kernel has its new place, with few and many agents, beside FRR EVPN",
    options: {
      agents: numbers("made-up agents that are connected beside the three", [100, 10_000], [50], 1),
      moves: number("moves of each", 100, 10),
      ms: number("ceiling: median, ms", 5, 1_000),
      frr: ratio("floor: median of FRR : nearmiss", 12, 0.5),
      spread: ratio("ceiling: median of the slowest : fastest number of agents", 1.2, 10),
    },
    run: ({ ms, frr, spread, ...rest }, progress) =>
      moveBench({ ...rest, bounds: { ms, frr, agents: spread } }, progress),
    report: reportMove,
    holds: ({ missed }) => missed.length === 0,
  }),
  reconcile: bench({
    about: "one agent comparing all its cached answers with the kernel, beside a plain dump of the same tables",
    options: {
      entries: number("cached VMs of other hosts, three kernel entries each", 10_000, 1_000),
      rounds: number("turns of each", 20, 4),
    },
    run: reconcileBench,
    report: reportReconcile,
  }),
};

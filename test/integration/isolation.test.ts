// Promise P6: random tenants with overlapping addresses share hosts, and VMs are moved, deleted and created again while
// hosts ask and limited tokens follow. All output of the controller is compared with the state at its revision.
import fc from "fast-check";
import { expect, test } from "vitest";
import { CommittedInventory } from "../../controller/inventory/committed-inventory.ts";
import type { Mutation } from "../../controller/inventory/decide.ts";
import { hostsOf } from "../../controller/inventory/hosts-of.ts";
import { type Answer, type BindingKey, parseIp, parseMac, parseVni } from "../../schema/address/index.ts";
import type { ControllerFrame } from "../../schema/agent/index.ts";
import type { CloudEvent, ResourceChange } from "../../schema/events/index.ts";
import type { Network, Vm } from "../../schema/rest/index.ts";
import { furnished, someMutations } from "../property/inventory-model.ts";
import { agentOf, findCertified, type HostName } from "../support/certified.ts";
import { type AgentClient, call, startSecured } from "./harness.ts";

const hosts: readonly HostName[] = ["a", "b", "c"];
const tenants = ["blue", "red"] as const;

/** Every address that a VM of the model can have, in both of its VNIs. */
const allKeys: readonly BindingKey[] = [100, 200].flatMap((number): BindingKey[] => {
  const vni = parseVni(number);
  const ips = [..."123459"]
    .map((n) => `10.0.0.${n}`)
    .concat(
      [..."1234"].map((n) => `fd00::${n}`),
      "fe80::1",
    );
  return [
    ...ips.map((ip): BindingKey => ({ kind: "ip", vni, ip: parseIp(ip) })),
    ...[..."12345"].map((n): BindingKey => ({ kind: "mac", vni, mac: parseMac(`52:54:00:00:00:0${n}`) })),
  ];
});

const someStep = fc.oneof(
  { weight: 4, arbitrary: someMutations.map((mutations) => ({ kind: "mutate" as const, mutations })) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("ask" as const),
      host: fc.constantFrom(...hosts),
      key: fc.constantFrom(...allKeys),
      asker: fc.option(fc.constantFrom(1, 2, 3, 4), { nil: undefined }),
    }),
  },
);

/** The state at a revision. */
interface Moment {
  readonly networks: readonly Network[];
  readonly vms: readonly Vm[];
}

const networkOf = ({ networks }: Moment, vni: number) => networks.find((each) => each.vni === vni);
const isOn = ({ vms }: Moment, host: string, network: string) =>
  vms.some((vm) => hostsOf(vm).includes(host) && vm.interfaces.some((each) => each.network === network));

/** How `answer`, sent to `host`, reveals more than allowed. */
function leakOf(moment: Moment, host: string, answer: Answer): string | undefined {
  const { key, binding } = answer;
  if (!binding) return undefined;
  const network = networkOf(moment, key.vni);
  if (!network) return `an answer in VNI ${key.vni}, which is none`;
  if (!isOn(moment, host, network.name)) return `an answer in ${network.name} to ${host}, which has no VM there`;
  const truth = moment.vms.flatMap((vm) =>
    vm.interfaces
      .filter((each) => each.network === network.name)
      .filter((each) => (key.kind === "ip" ? each.ips.includes(key.ip) : each.mac === key.mac))
      .map((each) => `${each.mac} on ${vm.host}`),
  );
  const told = `${binding.mac} on ${binding.host}`;
  return truth.includes(told) ? undefined : `${told} for ${JSON.stringify(key)}, but it is ${truth}`;
}

/** Only hosts of a network receive its hosts, and the removal of one. */
function sendersLeak(
  moment: Moment,
  host: string,
  { vni, hosts }: Extract<ControllerFrame, { type: "senders" }>,
): string[] {
  const network = networkOf(moment, vni);
  if (!network || !isOn(moment, host, network.name)) return [`senders of VNI ${vni} to ${host}`];
  const strangers = hosts.filter((each) => each.vtep !== null && !isOn(moment, each.host, network.name));
  return strangers.map((each) => `${each.host} as a sender of ${network.name}, to ${host}`);
}

/** Frames by their revision. An answered tombstone is not a leak; a pushed one would be, in an unseen network. */
function leaksTo(host: string, agent: AgentClient, moments: ReadonlyMap<number, Moment>): string[] {
  return agent.received.flatMap((frame) => {
    // No host of these scenes has a group; test/integration/groups.test.ts has what they reveal.
    if (frame.type === "groups") return [`${frame.type} of a network without broadcast`];
    if (!("asOf" in frame) || frame.type === "welcome" || frame.type === "heartbeat") return [];
    const moment = moments.get(frame.asOf);
    if (frame.type === "senders") return moment ? sendersLeak(moment, host, frame) : [`${frame.type} of no revision`];
    if (!moment) return frame.type === "changes" || "answers" in frame ? [`${frame.type} of no revision`] : [];
    if (!("answers" in frame)) return [];
    const networks = "networks" in frame ? frame.networks : [];
    return [
      ...frame.answers.flatMap((answer) => leakOf(moment, host, answer) ?? []),
      ...networks.flatMap(({ name }) => (isOn(moment, host, name) ? [] : [`network ${name} to ${host}`])),
      ...(frame.type === "changes" || frame.type === "seed" ? frame.answers : []).flatMap(({ key }) => {
        const network = networkOf(moment, key.vni);
        return network && isOn(moment, host, network.name) ? [] : [`a push in VNI ${key.vni} to ${host}`];
      }),
    ];
  });
}

/** A mutation of the model as a REST request. */
function requestFor(mutation: Mutation): [string, string, unknown?] {
  switch (mutation.kind) {
    case "network.put":
      return ["PUT", `/v1/networks/${mutation.spec.name}`, mutation.spec];
    case "network.choose":
      throw new Error("the controller's own");
    case "vm.take":
      throw new Error("of guests");
    case "host.put":
    case "host.register": {
      const { name, vtep, port } = mutation.spec;
      return ["PUT", `/v1/hosts/${name}`, { vtep, port }];
    }
    case "vm.create":
      return ["POST", "/v1/vms", mutation.spec];
    case "vm.put":
      return ["PUT", `/v1/vms/${mutation.spec.name}`, mutation.spec];
    case "network.create":
      return ["POST", "/v1/networks", mutation.spec];
    case "host.create": {
      const { name, vtep, port } = mutation.spec;
      return ["POST", "/v1/hosts", { name, vtep, port }];
    }
    case "network.patch":
      return ["PATCH", `/v1/networks/${mutation.name}`, mutation.patch];
    case "host.patch":
      return ["PATCH", `/v1/hosts/${mutation.name}`, mutation.patch];
    case "vm.patch":
      return ["PATCH", `/v1/vms/${mutation.name}`, mutation.patch];
    case "network.delete":
      return ["DELETE", `/v1/networks/${mutation.name}`];
    case "host.delete":
      return ["DELETE", `/v1/hosts/${mutation.name}?force=${mutation.force ?? false}`];
    case "vm.delete":
      return ["DELETE", `/v1/vms/${mutation.name}`];
    case "host.evacuate":
      return ["POST", `/v1/hosts/${mutation.name}/evacuate`, { to: mutation.to }];
    case "vm.prepare":
      return ["POST", `/v1/vms/${mutation.name}/prepare`, { host: mutation.host }];
    case "vm.commit":
      return ["POST", `/v1/vms/${mutation.name}/commit`, {}];
    case "vm.abort":
      return ["POST", `/v1/vms/${mutation.name}/abort`, {}];
  }
}

/** The state after each revision, from the whole log. */
function momentsOf(events: readonly CloudEvent[]): Map<number, Moment> {
  const state = new CommittedInventory();
  const moments = new Map<number, Moment>([[0, { networks: [], vms: [] }]]);
  for (const { revision, type, data } of events) {
    state.apply([{ kind: type.split(".")[1], ...data } as ResourceChange]);
    moments.set(revision, { networks: state.listNetworks(), vms: state.listVms() });
  }
  return moments;
}

test("no answer, seed, push, snapshot, event or list carries a foreign network", () =>
  fc.assert(
    fc.asyncProperty(fc.array(someStep, { minLength: 10, maxLength: 40, size: "max" }), async (steps) => {
      const controller = await startSecured({ findCertified });
      const { admin } = controller;
      const log = admin.events("?since=0");
      const sessions: { host: HostName; agent: AgentClient }[] = [];
      const mutate = async (mutation: Mutation) => {
        const [method, path, body] = requestFor(mutation);
        const { status } = await admin.request(method, path, body);
        expect(status).toBeLessThan(500);
        if (mutation.kind !== "host.delete" || status !== 204) return;
        // Its session ends, also where a host of the same name follows.
        await Promise.all(sessions.flatMap(({ host, agent }) => (host === mutation.name ? agent.closed : [])));
      };
      for (const mutation of furnished) await mutate(mutation);
      const tokens = await Promise.all(
        tenants.map((tenant) => controller.issue({ role: "viewer", networks: [tenant] })),
      );
      const views = tokens.map(({ token }) => controller.as(token));
      const streams = views.map((view) => view.events("?since=0"));
      await Promise.all(streams.map((stream) => stream.opened));
      const agentFor = async (host: HostName) => {
        const known = sessions.findLast((each) => each.host === host && each.agent.isOpen);
        if (known) return known.agent;
        const agent = agentOf(controller, host);
        sessions.push({ host, agent });
        return agent.connect([...allKeys], { seeding: true, senders: true });
      };
      for (const host of hosts) await agentFor(host);
      for (const [id, step] of steps.entries()) {
        if (step.kind === "mutate") for (const mutation of step.mutations) await mutate(mutation);
        else if ((await admin.request("GET", `/v1/hosts/${step.host}`)).status === 200) {
          const agent = await agentFor(step.host);
          const asker = step.asker === undefined ? {} : { asker: parseIp(`10.0.0.${step.asker}`) };
          agent.send({ type: "resolve", id, questions: [{ ...step.key, ...asker }] });
          await agent.frame("answers", (frame) => frame.id === id);
        }
      }
      // The last event of each stream is a change of its own tenant.
      for (const tenant of tenants) {
        const stood = await admin.request("GET", `/v1/networks/${tenant}`);
        const { vni, subnets } =
          stood.status === 200 ? stood.body : { vni: 9_000 + tenants.indexOf(tenant), subnets: ["10.0.0.0/29"] };
        const { status, body } = await admin.request("PUT", `/v1/networks/${tenant}`, { vni, subnets, mtu: 1_399 });
        expect([200, 201], JSON.stringify(body)).toContain(status);
        await streams[tenants.indexOf(tenant)]?.until((event) => event.revision === body.revision);
        await log.until((event) => event.revision === body.revision);
      }
      const moments = momentsOf(log.received);
      const leaks = sessions.flatMap(({ host, agent }) => leaksTo(host, agent, moments));
      const now = [...moments.values()].at(-1) as Moment;
      for (const [i, view] of views.entries()) {
        const [tenant, foreign] = i === 0 ? tenants : tenants.toReversed();
        const lists = await Promise.all(
          ["networks", "vms", "hosts"].map((list) => call(view, 200, "GET", `/v1/${list}`)),
        );
        const texts = [...(streams[i]?.received ?? []), ...lists].map((each) => JSON.stringify(each));
        leaks.push(
          ...texts.filter((text) => text.includes(`"${foreign}"`)).map((text) => `${tenant} received ${text}`),
        );
        const names = lists[2].hosts.map(({ name }: { name: string }) => name);
        expect(names).toEqual(hosts.filter((host) => isOn(now, host, tenant as string)));
        const vms = lists[1].vms.map(({ name }: { name: string }) => name);
        const there = now.vms.filter(({ interfaces }) => interfaces.some((each) => each.network === tenant));
        expect(vms).toEqual(there.map(({ name }) => name));
      }
      expect(leaks).toEqual([]);
      await controller.stop();
    }),
    { numRuns: 25 },
  ));

// Columns of lists, as every page that lists VMs, hosts or networks has them.
import { effectiveKnowledge } from "../../schema/plain/index.ts";
import type { ConditionView, HostView, NetworkView, VmView } from "../../schema/rest/index.ts";
import type { Static } from "../../schema/typebox.ts";
import { formatCount, formatTime } from "../format.ts";
import { href } from "../router.ts";
import type { Column } from "./column.ts";
import { KindLink } from "./conditions.tsx";
import type { Filter } from "./filters.tsx";
import { labelled, nameOrAddress, namesBeginning, wholeName } from "./search.ts";
import { Labels, Status } from "./status.tsx";

export type Vm = Static<typeof VmView>;
export type Host = Static<typeof HostView>;
export type Network = Static<typeof NetworkView>;

export const vmColumns: readonly Column<Vm>[] = [
  { title: "Name", sort: "name", cell: ({ name }) => <a href={href(["vms", name])}>{name}</a> },
  { title: "Host", sort: "host", cell: ({ host }) => <a href={href(["hosts", host])}>{host}</a> },
  {
    title: "Network",
    sort: "network",
    cell: ({ interfaces }) => (
      <Several>
        {[...new Set(interfaces.map(({ network }) => network))].map((network) => (
          <a key={network} href={href(["networks", network])}>
            {network}
          </a>
        ))}
      </Several>
    ),
  },
  {
    title: "Addresses",
    cell: ({ interfaces }) => (
      <Several>
        {interfaces
          .flatMap(({ ips }) => ips)
          .map((ip) => (
            <code key={ip}>{ip}</code>
          ))}
      </Several>
    ),
  },
  { title: "Conditions", sort: "conditions", cell: ({ conditions }) => <ConditionKinds of={conditions} /> },
  {
    title: "Host agent",
    cell: ({ hostConnected }) => (
      <Status tone={hostConnected ? "good" : "bad"}>{hostConnected ? "connected" : "disconnected"}</Status>
    ),
  },
  {
    title: "MAC",
    cell: ({ interfaces }) => (
      <Several>
        {interfaces.map(({ mac }) => (
          <code key={mac}>{mac}</code>
        ))}
      </Several>
    ),
  },
  { title: "Labels", cell: ({ labels }) => <Labels labels={labels} /> },
  { title: "Revision", isNumber: true, sort: "revision", cell: ({ revision }) => revision },
];

/** The names of the first ones. */
function ConditionKinds({ of = [] }: { readonly of: ConditionView[] | undefined }) {
  if (of.length === 0) return <span class="none">none</span>;
  const kinds = [...new Set(of.map(({ kind }) => kind))];
  const isBad = of.some(({ severity }) => severity === "bad");
  return (
    <Status tone={isBad ? "bad" : "wait"}>
      <span>
        {kinds.slice(0, 2).map((kind, i) => (
          <>
            {i > 0 && ", "}
            <KindLink kind={kind} />
          </>
        ))}
        {kinds.length > 2 && ` +${kinds.length - 2}`}
      </span>
    </Status>
  );
}

export const vmSearch: Filter = {
  key: "name",
  title: "Name, IP or MAC",
  hint: "begins with, or whole address",
  isMain: true,
  read: nameOrAddress,
};
export const nameSearch: Filter = {
  key: "name",
  title: "Name",
  hint: "begins with",
  isMain: true,
  read: namesBeginning,
};
export const networkFilter: Filter = { key: "network", title: "Network", hint: "any", read: wholeName("network") };
export const hostFilter: Filter = { key: "host", title: "Host", hint: "any", read: wholeName("host") };
export const labelFilter = (hint: string): Filter => ({ key: "label", title: "Labels", hint, read: labelled });

export const hostColumns: readonly Column<Host>[] = [
  { title: "Name", sort: "name", cell: ({ name }) => <a href={href(["hosts", name])}>{name}</a> },
  { title: "Agent", sort: "agent", cell: (host) => <AgentStatus host={host} /> },
  { title: "Conditions", sort: "conditions", cell: ({ conditions }) => <ConditionKinds of={conditions} /> },
  { title: "VMs", isNumber: true, sort: "vms", cell: ({ vms }) => (vms === undefined ? "–" : formatCount(vms)) },
  {
    title: "Last heard",
    sort: "lastSeen",
    cell: ({ lastSeen }) => (lastSeen === null ? <span class="none">not yet</span> : formatTime(lastSeen)),
  },
  { title: "Version", sort: "agentVersion", cell: ({ agentVersion }) => agentVersion ?? <span class="none">–</span> },
  {
    title: "VTEP",
    sort: "vtep",
    cell: ({ vtep, port }) => <code>{vtep.includes(":") ? `[${vtep}]:${port}` : `${vtep}:${port}`}</code>,
  },
  { title: "Labels", cell: ({ labels }) => <Labels labels={labels} /> },
  { title: "Applied", isNumber: true, sort: "appliedRevision", cell: ({ appliedRevision }) => appliedRevision ?? "–" },
];

export function AgentStatus({ host }: { readonly host: Pick<Host, "connected" | "lastSeen" | "down"> }) {
  const { connected, lastSeen, down } = host;
  if (down) return <Status tone="bad">{connected ? "marked down, connected" : "marked down"}</Status>;
  if (!connected) return <Status tone="bad">{lastSeen === null ? "never seen" : "disconnected"}</Status>;
  return <Status tone="good">connected</Status>;
}

export const networkColumns: readonly Column<Network>[] = [
  { title: "Name", sort: "name", cell: ({ name }) => <a href={href(["networks", name])}>{name}</a> },
  { title: "VNI", isNumber: true, sort: "vni", cell: ({ vni }) => vni },
  {
    title: "Subnets",
    cell: ({ subnets }) => (
      <Several>
        {subnets.map((subnet) => (
          <code key={subnet}>{subnet}</code>
        ))}
      </Several>
    ),
  },
  { title: "MTU", isNumber: true, cell: ({ mtu }) => mtu },
  { title: "Knowledge", cell: (network) => <Knowledge of={network} /> },
  { title: "Broadcast", cell: ({ broadcast = "off" }) => broadcast },
  { title: "Conditions", cell: ({ conditions }) => <ConditionKinds of={conditions} /> },
  { title: "Labels", cell: ({ labels }) => <Labels labels={labels} /> },
  { title: "Description", cell: ({ description }) => <Description text={description} /> },
  { title: "Revision", isNumber: true, sort: "revision", cell: ({ revision }) => revision },
];

/** In a word: the network's page has the reason. */
function Knowledge({ of }: { readonly of: Network }) {
  const mode = effectiveKnowledge(of);
  return <>{of.knowledge === "auto" ? `auto: ${mode}` : mode}</>;
}

function Description({ text }: { readonly text: string }) {
  return text === "" ? <span class="none">–</span> : <bdi class="description">{text}</bdi>;
}

function Several({ children }: { readonly children: preact.ComponentChildren }) {
  return <span class="several">{children}</span>;
}

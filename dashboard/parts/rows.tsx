// Columns of lists, as every page that lists VMs, hosts or networks has them.
import type { HostView, NetworkView, VmView } from "../../schema/rest/index.ts";
import type { Static } from "../../schema/typebox.ts";
import { href } from "../router.ts";
import type { Filter } from "./filters.tsx";
import { labelled, nameOrAddress, namesBeginning, wholeName } from "./search.ts";
import { Labels, Status } from "./status.tsx";
import type { Column } from "./table.tsx";

export type Vm = Static<typeof VmView>;
export type Host = Static<typeof HostView>;
export type Network = Static<typeof NetworkView>;

export const vmColumns: readonly Column<Vm>[] = [
  { title: "Name", cell: ({ name }) => <a href={href(["vms", name])}>{name}</a> },
  { title: "Host", cell: ({ host }) => <a href={href(["hosts", host])}>{host}</a> },
  {
    title: "Network",
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
  {
    title: "Host agent",
    cell: ({ hostConnected }) => (
      <Status tone={hostConnected ? "good" : "bad"}>{hostConnected ? "connected" : "disconnected"}</Status>
    ),
  },
  { title: "Revision", isNumber: true, cell: ({ revision }) => revision },
];

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
  { title: "Name", cell: ({ name }) => <a href={href(["hosts", name])}>{name}</a> },
  { title: "Agent", cell: (host) => <HostStatus host={host} /> },
  {
    title: "VTEP",
    cell: ({ vtep, port }) => <code>{vtep.includes(":") ? `[${vtep}]:${port}` : `${vtep}:${port}`}</code>,
  },
  { title: "Registered by", cell: ({ origin }) => (origin === "agent" ? "its agent" : "an operator") },
  { title: "Labels", cell: ({ labels }) => <Labels labels={labels} /> },
  { title: "Applied", isNumber: true, cell: ({ appliedRevision }) => appliedRevision ?? "–" },
];

export function HostStatus({ host }: { readonly host: Pick<Host, "connected" | "problems" | "lastSeen"> }) {
  const { connected, problems, lastSeen } = host;
  if (!connected) return <Status tone="bad">{lastSeen === null ? "never seen" : "disconnected"}</Status>;
  return problems.length > 0 ? <Status tone="wait">problem</Status> : <Status tone="good">connected</Status>;
}

export const networkColumns: readonly Column<Network>[] = [
  { title: "Name", cell: ({ name }) => <a href={href(["networks", name])}>{name}</a> },
  { title: "VNI", isNumber: true, cell: ({ vni }) => vni },
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
  { title: "Labels", cell: ({ labels }) => <Labels labels={labels} /> },
  { title: "Description", cell: ({ description }) => <Description text={description} /> },
  { title: "Revision", isNumber: true, cell: ({ revision }) => revision },
];

function Description({ text }: { readonly text: string }) {
  return text === "" ? <span class="none">–</span> : <bdi class="description">{text}</bdi>;
}

function Several({ children }: { readonly children: preact.ComponentChildren }) {
  return <span class="several">{children}</span>;
}

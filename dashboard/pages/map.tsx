import { useMemo, useState } from "preact/hooks";
import type { TopologyView } from "../../schema/rest/index.ts";
import { withQuery } from "../api.ts";
import { formatCount, plural } from "../format.ts";
import { changes, useResource } from "../live/resource.ts";
import { Drawing } from "../map/drawing.tsx";
import { layOut } from "../map/layout.ts";
import { useMoves } from "../map/moves.ts";
import { Side } from "../map/side.tsx";
import { degrees, tunnelsOf } from "../map/tunnels.ts";
import type { Network } from "../parts/rows.tsx";
import { Empty, Load, PageHead } from "../parts/states.tsx";
import { place, refine } from "../router.ts";
import { isNarrow } from "../screen.ts";

/** More lines than these would hide the information: they are drawn on demand. */
const linesAtFirst = 600;

export function MapPage() {
  const { query } = place.value;
  const network = query.get("network") ?? "";
  const host = query.get("host") ?? "";
  const [topology] = useResource<TopologyView>(withQuery("/v1/topology", { network }), {
    changedBy: changes("vm", "host", "network", "operational"),
    everyMs: 3_000,
  });
  const [networks] = useResource<{ networks: Network[] }>("/v1/networks?limit=1000", { changedBy: changes("network") });
  const names = networks.kind === "ready" ? networks.value.networks.map(({ name }) => name) : [];
  return (
    <>
      <PageHead title="Map" />
      <search class="filters">
        <div class="filter">
          <label for="map-network">Network</label>
          <select
            id="map-network"
            value={network}
            onChange={({ currentTarget }) => refine({ host, network: currentTarget.value })}
          >
            <option value="">All networks</option>
            {[...new Set([...names, ...(network === "" ? [] : [network])])].map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </div>
        <div class="filter">
          <label for="map-host">Find host</label>
          <input
            id="map-host"
            type="search"
            list="map-hosts"
            value={host}
            placeholder="name"
            autocomplete="off"
            spellcheck={false}
            onInput={({ currentTarget }) => refine({ network, host: currentTarget.value.trim() })}
          />
        </div>
      </search>
      <Load of={topology}>{(view) => <Topology view={view} network={network} host={host} />}</Load>
    </>
  );
}

function Topology({
  view,
  network,
  host,
}: {
  readonly view: TopologyView;
  readonly network: string;
  readonly host: string;
}) {
  const { asOf, hosts } = view;
  const tunnels = useMemo(() => tunnelsOf(view), [view]);
  const counts = useMemo(() => degrees(tunnels, hosts.length), [tunnels, hosts]);
  const names = hosts.map(({ name }) => name).join("\n");
  const room = isNarrow.value ? "narrow" : "wide";
  const layout = useMemo(() => layOut(names === "" ? [] : names.split("\n"), room), [names, room]);
  const [wish, setWish] = useState<boolean>();
  const showAll = wish ?? tunnels.length <= linesAtFirst;
  const { latest, flying } = useMoves();
  const index = hosts.findIndex(({ name }) => name === host);
  const chosen = index < 0 ? undefined : index;
  const choose = (to: number | undefined) => refine({ network, host: to === undefined ? "" : (hosts[to]?.name ?? "") });
  if (hosts.length === 0) {
    return (
      <div class="panel">
        <Empty title={network === "" ? "No host is registered" : "No VMs in this network"}>
          {network === ""
            ? "Hosts appear here as soon as they are registered."
            : "Hosts appear here with their first VM in it."}
        </Empty>
      </div>
    );
  }
  return (
    <div class={layout.kind === "grid" && chosen !== undefined ? "map-block map-sheet" : "map-block"}>
      <div class="map-main">
        <datalist id="map-hosts">
          {hosts.map(({ name }) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <div class="map-tools">
          {layout.kind === "grid" && (
            <label class="check">
              <input
                type="checkbox"
                checked={showAll}
                onChange={({ currentTarget }) => setWish(currentTarget.checked)}
              />
              Draw all {formatCount(tunnels.length)} tunnels
            </label>
          )}
          {host !== "" && chosen === undefined && <p role="status">No host has this name</p>}
          <p class="legend">
            {layout.kind === "grid" ? (
              <>
                {formatCount(Math.min(...counts))} <span class="legend-heat" aria-hidden="true" />{" "}
                {plural(Math.max(...counts), "tunnel")}
                <span class="legend-away" aria-hidden="true" /> agent disconnected
              </>
            ) : (
              "A line is a tunnel in use: the thicker, the more VMs are reached through it."
            )}
          </p>
        </div>
        <Drawing
          hosts={hosts}
          tunnels={tunnels}
          counts={counts}
          layout={layout}
          chosen={chosen}
          showAll={showAll}
          flying={flying}
          onChoose={choose}
        />
        <p id="map-help" class="map-help">
          Arrow keys move between hosts, Enter selects a host and its tunnels, Escape clears the selection. The
          selection is described beside the map in words.
        </p>
      </div>
      <Side
        asOf={asOf}
        hosts={hosts}
        tunnels={tunnels}
        counts={counts}
        chosen={chosen}
        moves={latest}
        onChoose={choose}
      />
    </div>
  );
}

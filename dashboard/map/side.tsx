// Beside the map, in words: the host that is chosen, or all together; and the moves that were seen.
import type { TopologyView } from "../../schema/rest/index.ts";
import { formatAgo, formatCount, formatTime, plural } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { Status } from "../parts/status.tsx";
import { href } from "../router.ts";
import type { SeenMove } from "./moves.ts";
import { peersOf, type Tunnel } from "./tunnels.ts";

export interface SideProps {
  /** Of the tunnels. */
  readonly asOf: string;
  readonly hosts: TopologyView["hosts"];
  readonly tunnels: readonly Tunnel[];
  readonly counts: readonly number[];
  readonly chosen: number | undefined;
  readonly moves: readonly SeenMove[];
  readonly onChoose: (index: number | undefined) => void;
}

const listed = 14;

export function Side(props: SideProps) {
  const { asOf, hosts, chosen, moves } = props;
  const host = chosen === undefined ? undefined : hosts[chosen];
  return (
    <aside class="map-side" aria-label="On the map">
      {host && chosen !== undefined ? <Chosen {...props} host={host} index={chosen} /> : <Everything {...props} />}
      <p class="help">
        Tunnels as of <time dateTime={asOf}>{formatTime(asOf)}</time>
      </p>
      <section aria-label="Moves">
        <h2>Moves</h2>
        {moves.length === 0 ? (
          <p class="help">A VM that changes its host is animated on the map, and listed here.</p>
        ) : (
          <ol class="moves" aria-live="polite">
            {moves.map(({ id, vm, from, to, atMs }) => (
              <li key={id}>
                <a href={href(["vms", vm])}>{vm}</a>
                <span class="move-way">
                  {from} <Icon name="arrow" />
                  <span class="hidden">to</span> {to}
                </span>
                <span class="none">{formatAgo(Date.now() - atMs)}</span>
              </li>
            ))}
          </ol>
        )}
      </section>
    </aside>
  );
}

function Chosen(props: SideProps & { readonly host: TopologyView["hosts"][number]; readonly index: number }) {
  const { hosts, tunnels, host, index, onChoose } = props;
  const peers = peersOf(tunnels, index);
  return (
    <section aria-label={`Host ${host.name}`}>
      <div class="side-head">
        <h2>{host.name}</h2>
        <button
          type="button"
          class="quiet icon-button"
          aria-label="Clear selection"
          onClick={() => onChoose(undefined)}
        >
          <Icon name="close" />
        </button>
      </div>
      <p>
        <Status tone={host.connected ? "good" : "bad"}>{host.connected ? "connected" : "disconnected"}</Status> ·{" "}
        {plural(host.vms, "VM")} · {plural(peers.length, "tunnel")}
      </p>
      <p>
        <a href={href(["hosts", host.name])}>Open host</a>
      </p>
      {peers.length > 0 && (
        <table class="peers">
          <thead>
            <tr>
              <th scope="col">Peer</th>
              <th scope="col" class="number">
                MACs there
              </th>
              <th scope="col" class="number">
                MACs here
              </th>
            </tr>
          </thead>
          <tbody>
            {peers.slice(0, listed).map(({ index: peer, out, back }) => (
              <tr key={peer}>
                <th scope="row">
                  <button type="button" class="as-link" onClick={() => onChoose(peer)}>
                    {hosts[peer]?.name}
                  </button>
                </th>
                <td class="number">{formatCount(out)}</td>
                <td class="number">{formatCount(back)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {peers.length > listed && <p class="help">and {formatCount(peers.length - listed)} more</p>}
      {peers.length > 0 && (
        <p class="help">
          There: MACs behind the peer that this host sends to. Here: MACs on this host that the peer sends to.
        </p>
      )}
    </section>
  );
}

function Everything({ hosts, tunnels, counts, onChoose }: SideProps) {
  const away = hosts.filter(({ connected }) => !connected).length;
  const busiest = counts
    .map((count, index) => ({ count, index }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, 8);
  return (
    <section aria-label="All hosts">
      <h2>{plural(hosts.length, "host")}</h2>
      <p>
        {plural(tunnels.length, "tunnel")} in use
        {away > 0 && (
          <>
            {" · "}
            <Status tone="bad">{`${formatCount(away)} disconnected`}</Status>
          </>
        )}
      </p>
      {busiest.length > 0 && (
        <>
          <h3>Most tunnels</h3>
          <ol class="busiest">
            {busiest.map(({ index, count }) => (
              <li key={index}>
                <button type="button" class="as-link" onClick={() => onChoose(index)}>
                  {hosts[index]?.name}
                </button>
                <span class="number">{formatCount(count)}</span>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

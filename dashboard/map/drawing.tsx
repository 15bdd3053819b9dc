// The drawing of the map: lines at the bottom, hosts above, and on top the selection and moves.
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { TopologyView } from "../../schema/rest/index.ts";
import { plural } from "../format.ts";
import { goalMargin, type Layout, linkPath, neighbour, type Spot } from "./layout.ts";
import type { SeenMove } from "./moves.ts";
import { peersOf, type Tunnel } from "./tunnels.ts";

export interface DrawingProps {
  readonly hosts: TopologyView["hosts"];
  readonly tunnels: readonly Tunnel[];
  readonly counts: readonly number[];
  readonly layout: Layout;
  readonly chosen: number | undefined;
  readonly showAll: boolean;
  readonly flying: readonly SeenMove[];
  readonly onChoose: (index: number | undefined) => void;
}

export function Drawing(props: DrawingProps) {
  const { hosts, tunnels, counts, layout, chosen, showAll, flying, onChoose } = props;
  const { width, height, kind } = layout;
  const svg = useRef<SVGSVGElement>(null);
  const peers = useMemo(
    () => new Set(chosen === undefined ? [] : peersOf(tunnels, chosen).map(({ index }) => index)),
    [chosen, tunnels],
  );
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const onKeyDown = (event: KeyboardEvent, index: number) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return onChoose(chosen === index ? undefined : index);
    }
    if (event.key === "Escape") return onChoose(undefined);
    const to = neighbour(layout, index, event.key);
    if (to === index) return;
    event.preventDefault();
    svg.current?.querySelector<SVGGElement>(`[data-index="${to}"]`)?.focus();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset draws nothing
    <svg
      ref={svg}
      class={`map map-${kind}${chosen === undefined ? "" : " map-chosen"}`}
      viewBox={`0 0 ${width} ${Math.ceil(height)}`}
      role="group"
      aria-label={`Map of ${plural(hosts.length, "host")} and ${plural(tunnels.length, "tunnel")}`}
      aria-describedby="map-help"
    >
      <Lines {...props} showAll={showAll} />
      <g class="flights">
        {flying.map((move) => (
          <FlightWay key={move.id} move={move} layout={layout} hosts={hosts} />
        ))}
      </g>
      {hosts.map(({ name, vms, connected }, index) => {
        const spot = layout.spots[index];
        if (!spot) return null;
        const words = [
          name,
          plural(vms, "VM"),
          plural(counts[index] ?? 0, "tunnel"),
          connected ? "" : "agent disconnected",
        ];
        const classes = ["node", connected ? "" : "away", chosen === index ? "chosen" : peers.has(index) ? "peer" : ""];
        return (
          // biome-ignore lint/a11y/useSemanticElements: there is no button inside SVG
          <g
            key={name}
            class={classes.filter(Boolean).join(" ")}
            transform={`translate(${spot.x.toFixed(1)} ${spot.y.toFixed(1)})`}
            role="button"
            tabindex={index === (chosen ?? 0) ? 0 : -1}
            data-index={index}
            aria-pressed={chosen === index}
            onClick={() => onChoose(chosen === index ? undefined : index)}
            onKeyDown={(event) => onKeyDown(event, index)}
          >
            <title>{words.filter(Boolean).join(", ")}</title>
            <Card
              layout={layout}
              label={layout.labels[index] ?? ""}
              vms={vms}
              isAway={!connected}
              share={shareOf(counts[index] ?? 0, least, most)}
            />
          </g>
        );
      })}
      <g class="flights">
        {flying.map((move) => (
          <Flight key={move.id} move={move} layout={layout} hosts={hosts} />
        ))}
      </g>
    </svg>
  );
}

/** The same shade for all where all have as many. */
function shareOf(count: number, least: number, most: number): number {
  if (count === 0) return 0;
  return most === least ? 0.5 : 0.12 + (0.88 * (count - least)) / (most - least);
}

function Card(props: {
  readonly layout: Layout;
  readonly label: string;
  readonly vms: number;
  readonly isAway: boolean;
  /** How much of the way it is from the host with the fewest tunnels to the one with most, 0 … 1. */
  readonly share: number;
}) {
  const { layout, label, vms, isAway, share } = props;
  const { width, height } = layout.card;
  const box = {
    x: -width / 2,
    y: -height / 2,
    width,
    height,
    rx: layout.kind === "ring" ? 9 : Math.min(5, height / 5),
  };
  if (layout.kind === "grid") {
    return (
      <>
        <rect {...box} class="card" />
        {!isAway && <rect {...box} class="heat" style={{ opacity: share * 0.55 }} />}
        {label !== "" && (
          <text class="tile-label" y={3.8}>
            {label}
          </text>
        )}
        {isAway && <rect class="away-mark" x={width / 2 - 5} y={-height / 2 - 2} width={7} height={7} rx={1} />}
      </>
    );
  }
  return (
    <>
      <rect {...box} class="card" />
      {isAway ? (
        <rect class="card-dot" x={-width / 2 + 13} y={-15} width={10} height={10} rx={1} />
      ) : (
        <circle class="card-dot" cx={-width / 2 + 18} cy={-10} r={5} />
      )}
      <foreignObject x={-width / 2 + 31} y={-height / 2 + 8} width={width - 40} height={24}>
        <div class="card-name">{label}</div>
      </foreignObject>
      <text class="card-note" x={-width / 2 + 32} y={17}>
        {isAway ? "disconnected" : plural(vms, "VM")}
      </text>
    </>
  );
}

function Lines({ tunnels, layout, chosen, showAll }: DrawingProps) {
  const path = ({ a, b }: Tunnel) => {
    const [from, to] = [layout.spots[a], layout.spots[b]];
    return from && to ? linkPath(layout, from, to) : "";
  };
  // Thousands of lines are one element.
  const all = useMemo(() => (layout.kind === "grid" ? tunnels.map(path).join("") : ""), [tunnels, layout]);
  const own = chosen === undefined ? [] : tunnels.filter(({ a, b }) => a === chosen || b === chosen);
  if (layout.kind === "grid") {
    return (
      <g>
        {showAll && <path class="tunnels-all" d={all} />}
        {own.map((tunnel) => (
          <path key={`${tunnel.a} ${tunnel.b}`} class="tunnel own" d={path(tunnel)} />
        ))}
      </g>
    );
  }
  return (
    <g>
      {tunnels.map((tunnel) => {
        const macs = tunnel.aToB + tunnel.bToA;
        return (
          <path
            key={`${tunnel.a} ${tunnel.b}`}
            class={own.includes(tunnel) ? "tunnel own" : "tunnel"}
            d={path(tunnel)}
            style={{ strokeWidth: `${Math.min(7, 1.2 + Math.log2(1 + macs) * 0.7)}px` }}
          />
        );
      })}
    </g>
  );
}

/** Then the way and its end are shown, and nothing runs along it. */
const stillWanted = matchMedia("(prefers-reduced-motion: reduce)");

interface FlightProps {
  readonly move: SeenMove;
  readonly layout: Layout;
  readonly hosts: TopologyView["hosts"];
}

/** From one card's upper edge to the other's, so that nothing is hidden that is written on them. */
function wayOf({ move, layout, hosts }: FlightProps): { readonly path: string; readonly to: Spot } | undefined {
  const edgeOf = (host: string): Spot | undefined => {
    const spot = layout.spots[hosts.findIndex(({ name }) => name === host)];
    return spot && { x: spot.x, y: spot.y - layout.card.height / 2 };
  };
  const [from, to] = [edgeOf(move.from), edgeOf(move.to)];
  return from && to ? { path: linkPath(layout, from, to), to } : undefined;
}

/** Below the hosts: the path of a move, and a circle at its end. */
function FlightWay(props: FlightProps) {
  const way = wayOf(props);
  if (!way) return null;
  const { width, height } = props.layout.card;
  const margin = props.layout.kind === "ring" ? goalMargin : goalMargin / 2;
  const { x, y } = way.to;
  return (
    <g class="flight">
      <path class="flight-path" d={way.path} />
      <rect
        class="flight-goal"
        x={x - width / 2 - margin}
        y={y - margin}
        width={width + 2 * margin}
        height={height + 2 * margin}
        rx={9 + margin / 2}
      />
    </g>
  );
}

/** Above the hosts: the moving VM. */
function Flight(props: FlightProps) {
  const { move, layout } = props;
  const motion = useRef<SVGAnimateMotionElement>(null);
  const way = wayOf(props);
  const isStill = stillWanted.matches;
  // Time inside SVG began with the page.
  useEffect(() => motion.current?.beginElement(), []);
  if (!way) return null;
  // Which preact's types leave out.
  const along = { path: way.path } as object;
  const dot = layout.kind === "ring" ? 7 : 5;
  return (
    <g class="flight" data-vm={move.vm}>
      <g class="flight-dot" transform={isStill ? `translate(${way.to.x} ${way.to.y})` : undefined}>
        <circle r={dot} />
        <text y={-dot - 5}>{move.vm.length > 24 ? `${move.vm.slice(0, 23)}…` : move.vm}</text>
        {!isStill && (
          <animateMotion
            ref={motion}
            begin="indefinite"
            dur="1.4s"
            fill="freeze"
            {...along}
            calcMode="spline"
            keyTimes="0;1"
            keySplines=".4 0 .2 1"
          />
        )}
      </g>
    </g>
  );
}

import type { ComponentChildren } from "preact";
import type { LogView, OverviewView, RatesView } from "../../schema/observe.ts";
import { formatCount, formatMs, formatRate, plural } from "../format.ts";
import { changes, useResource } from "../live/resource.ts";
import { EventList } from "../parts/event-list.tsx";
import { Rates, summaryOf } from "../parts/rates.tsx";
import { Empty, Load, PageHead, Panel } from "../parts/states.tsx";
import { href } from "../router.ts";
import { mayWrite, seesAll } from "../session.ts";

export function OverviewPage() {
  const anything = changes("vm", "host", "network", "operational");
  const [overview] = useResource<OverviewView>("/v1/overview", { changedBy: anything, everyMs: 5_000 });
  const [log] = useResource<LogView>("/v1/log?limit=8", { changedBy: anything });
  return (
    <>
      <PageHead title="Overview" />
      <Load of={overview}>{(value) => <Figures overview={value} />}</Load>
      <Rates />
      <div class="columns columns-wide">
        <Load of={overview}>{(value) => <Concerns overview={value} />}</Load>
        <Panel title="Latest changes" aside={<a href={href(["events"])}>All events</a>}>
          <Load of={log}>
            {({ events }) =>
              events.length === 0 ? (
                <Empty title="Nothing has changed yet">Every change of networks, hosts and VMs appears here.</Empty>
              ) : (
                <EventList events={events} />
              )
            }
          </Load>
        </Panel>
      </div>
    </>
  );
}

function Figures({ overview }: { readonly overview: OverviewView }) {
  const { hosts, hostsConnected, networks, vms } = overview;
  const away = hosts - hostsConnected;
  return (
    <dl class="figures">
      <Figure
        name="Hosts"
        to={["hosts"]}
        note={hosts === 0 ? "none yet" : away === 0 ? "all connected" : `${formatCount(away)} away`}
        bad={away > 0}
      >
        {formatCount(hosts)}
      </Figure>
      <Figure name="Networks" to={["networks"]} note={mayWrite.value && networks === 0 ? "create the first" : ""}>
        {formatCount(networks)}
      </Figure>
      <Figure name="VMs" to={["vms"]} note={hosts > 0 ? `${formatRate(vms / hosts)} per host` : ""}>
        {formatCount(vms)}
      </Figure>
      {seesAll.value && <RateFigures />}
    </dl>
  );
}

function RateFigures() {
  const [rates] = useResource<RatesView>("/v1/rates", { everyMs: 5_000 });
  if (rates.kind !== "ready") return null;
  const { perSecond, unknownShare, meanMs, slowestMs } = summaryOf(rates.value);
  const share = unknownShare === undefined ? "none in 15 min" : `${Math.round(unknownShare * 100)} % to nobody`;
  return (
    <>
      <Figure name="Misses per second" note={share}>
        {formatRate(perSecond)}
      </Figure>
      <Figure
        name="Answer latency"
        note={slowestMs === undefined ? "no questions in 15 min" : `slowest ${formatMs(slowestMs)}`}
      >
        {formatMs(meanMs)}
      </Figure>
    </>
  );
}

function Figure(props: {
  readonly name: string;
  readonly note: string;
  readonly bad?: boolean;
  readonly to?: readonly string[];
  readonly children: ComponentChildren;
}) {
  const { name, note, bad, to, children } = props;
  return (
    <div class="figure">
      <dt>{to ? <a href={href(to)}>{name}</a> : name}</dt>
      <dd>
        <span class="figure-value">{children}</span>
        <span class={bad ? "figure-note bad" : "figure-note"}>{note}</span>
      </dd>
    </div>
  );
}

const concernTitles = { "host-away": "away", "host-problem": "reports a problem" } as const;

function Concerns({ overview }: { readonly overview: OverviewView }) {
  const { concerns, concernCount, hosts } = overview;
  if (hosts === 0) {
    return (
      <Panel title="Needs attention">
        <Empty title="No host is registered">
          Start <code>nearmiss agent</code> on a host, or <a href={href(["hosts"])}>register one</a>; then create a
          network and the first VM.
        </Empty>
      </Panel>
    );
  }
  return (
    <Panel title="Needs attention" aside={concernCount > 0 ? <span>{plural(concernCount, "matter")}</span> : undefined}>
      {concerns.length === 0 ? (
        <Empty title="Nothing needs attention">Every host with VMs is connected, and none reports a problem.</Empty>
      ) : (
        <ul class="concerns">
          {concerns.slice(0, 12).map(({ kind, host, detail }) => (
            <li key={`${kind} ${host} ${detail}`} class={kind === "host-away" ? "concern bad" : "concern"}>
              <p>
                <a href={href(["hosts", host])}>{host}</a> {concernTitles[kind]}
              </p>
              <p class="concern-detail" dir="auto">
                {detail}
              </p>
            </li>
          ))}
          {concernCount > 12 && (
            <li class="concern-more">
              <a href={href(["hosts"])}>and {formatCount(concernCount - 12)} more</a>
            </li>
          )}
        </ul>
      )}
    </Panel>
  );
}

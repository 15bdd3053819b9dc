import type { ComponentChildren } from "preact";
import type { LogView } from "../../schema/events/index.ts";
import type { OverviewView, RatesView } from "../../schema/rest/index.ts";
import { formatCount, formatMean, formatMs, formatRate } from "../format.ts";
import { changes, useResource } from "../live/resource.ts";
import { EventList } from "../parts/event-list.tsx";
import { Issues } from "../parts/issues.tsx";
import { Rates, summaryOf } from "../parts/rates.tsx";
import { Empty, Load, PageHead, Panel } from "../parts/states.tsx";
import { href } from "../router.ts";
import { mayWrite, seesAll } from "../session.ts";

export function OverviewPage() {
  const anything = changes("vm", "host", "network", "operational");
  const [overview] = useResource<OverviewView>("/v1/overview", { changedBy: anything, everyMs: 5_000 });
  const [log] = useResource<LogView>("/v1/log?limit=10", { changedBy: anything });
  return (
    <>
      <PageHead title="Overview" />
      <Load of={overview}>{(value) => <Figures overview={value} />}</Load>
      <Rates />
      <div class="columns columns-wide">
        <Load of={overview}>{(value) => <Issues overview={value} />}</Load>
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
        note={hosts === 0 ? "none yet" : away === 0 ? "all connected" : `${formatCount(away)} disconnected`}
        bad={away > 0}
      >
        {formatCount(hosts)}
      </Figure>
      <Figure name="Networks" to={["networks"]} note={networksNote(networks, vms)}>
        {formatCount(networks)}
      </Figure>
      <Figure name="VMs" to={["vms"]} note={hosts === 0 ? "none yet" : `${formatMean(vms / hosts)} per host`}>
        {formatCount(vms)}
      </Figure>
      {seesAll.value && <RateFigures />}
    </dl>
  );
}

function networksNote(networks: number, vms: number): string {
  if (networks === 0) return mayWrite.value ? "create the first" : "none yet";
  const mean = formatMean(vms / networks);
  return vms === 0 ? "no VM in them yet" : `${mean} ${mean === "1" ? "VM" : "VMs"} each`;
}

function RateFigures() {
  const [rates] = useResource<RatesView>("/v1/rates", { everyMs: 5_000 });
  if (rates.kind !== "ready") return null;
  const { perSecond, unknownShare, isWhole, meanMs, slowestMs } = summaryOf(rates.value);
  const share = unknownShare === undefined ? "none in 15 min" : `${Math.round(unknownShare * 100)} % unknown addresses`;
  const whose = isWhole ? "" : "controller's share, ";
  return (
    <>
      <Figure name="Misses per second" note={share}>
        {formatRate(perSecond)}
      </Figure>
      <Figure
        name="Answer latency, mean"
        note={slowestMs === undefined ? "nothing asked in 15 min" : `${whose}slowest ${formatMs(slowestMs)}`}
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

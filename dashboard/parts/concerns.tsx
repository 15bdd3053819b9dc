import { useEffect, useState } from "preact/hooks";
import type { OverviewView } from "../../schema/observe.ts";
import { formatAgo, formatCount, plural } from "../format.ts";
import { happenings } from "../live/happenings.ts";
import { type Matter, mattersOf } from "../live/matters.ts";
import { useMended } from "../live/mended.ts";
import { href } from "../router.ts";
import { mayWriteHosts, seesAll } from "../session.ts";
import { Prose } from "./prose.tsx";
import { Empty, Panel } from "./states.tsx";
import { Status } from "./status.tsx";

const listed = 10;
const endedListed = 5;
const tickMs = 10_000;

/** Present issues, and those reported in the last quarter of an hour. */
export function Concerns({ overview }: { readonly overview: OverviewView }) {
  const { concerns, concernCount, hosts } = overview;
  const nowMs = useNow();
  if (hosts === 0) {
    return (
      <Panel title="Needs attention">
        {mayWriteHosts.value ? (
          <Empty title="No host is registered">
            Start <code>nearmiss agent</code> on a host, or <a href={href(["hosts"])}>register one</a>; then create a
            network and the first VM.
          </Empty>
        ) : (
          <Empty title="No hosts yet">Hosts with VMs in your networks appear here.</Empty>
        )}
      </Panel>
    );
  }
  return <Matters concerns={concerns} unlisted={concernCount - concerns.length} nowMs={nowMs} />;
}

function Matters(props: {
  readonly concerns: OverviewView["concerns"];
  /** The controller names at most a hundred of its own. */
  readonly unlisted: number;
  readonly nowMs: number;
}) {
  const { concerns, unlisted, nowMs } = props;
  const reported = mattersOf(concerns, happenings.value, { nowMs, seesProblems: seesAll.value });
  const mended = useMended(reported);
  const matters = reported.map((each): Matter => (mended.has(each.key) ? { ...each, end: "resolved" } : each));
  const open = matters.filter(({ end }) => end === undefined);
  const ended = matters.filter(({ end }) => end !== undefined);
  const count = open.length + unlisted;
  return (
    <Panel title="Needs attention" aside={count > 0 ? <span>{plural(count, "issue")}</span> : undefined}>
      {open.length === 0 ? (
        <Empty title="Nothing needs attention">
          Every host with VMs is connected and no host reports a problem
          {ended.length === 0 ? ", and nothing was reported in 15 minutes." : ", and all reported issues are resolved."}
        </Empty>
      ) : (
        <ul class="concerns">
          {shownOf(open).map((matter) => (
            <Row key={matter.key} matter={matter} nowMs={nowMs} />
          ))}
          {count > listed && (
            <li class="concern-more">
              and {formatCount(count - listed)} more: <a href={href(["hosts"])}>hosts</a>,{" "}
              <a href={href(["events"], { kind: "operational" })}>what happened on them</a>
            </li>
          )}
        </ul>
      )}
      {ended.length > 0 && <Ended matters={ended} nowMs={nowMs} />}
    </Panel>
  );
}

function Ended({ matters, nowMs }: { readonly matters: readonly Matter[]; readonly nowMs: number }) {
  return (
    <section class="ended" aria-label="Resolved">
      <h3>Resolved in the last 15 minutes</h3>
      <ul>
        {matters.slice(0, endedListed).map((matter) => (
          <Row key={matter.key} matter={matter} nowMs={nowMs} />
        ))}
        {matters.length > endedListed && (
          <li class="concern-more">
            and {formatCount(matters.length - endedListed)} more:{" "}
            <a href={href(["events"], { kind: "operational" })}>what happened on hosts</a>
          </li>
        )}
      </ul>
    </section>
  );
}

function Row({ matter, nowMs }: { readonly matter: Matter; readonly nowMs: number }) {
  const { tone, host, title, detail, last, end } = matter;
  return (
    <li class={`concern ${end === undefined ? tone : "ended-concern"}`}>
      <p>
        <a href={href(["hosts", host])}>{host}</a>
        {last === undefined ? " " : ": "}
        {title}
        {end !== undefined && (
          <>
            {" "}
            <Status tone="good">{end}</Status>
          </>
        )}
      </p>
      <p class="concern-detail">
        <bdi>
          <Prose text={detail} />
        </bdi>
        {last !== undefined && (
          <>
            {detail === "" ? "" : " · "}
            <time dateTime={last}>{formatAgo(nowMs - Date.parse(last))}</time>
          </>
        )}
      </p>
    </li>
  );
}

/** Neither kind displaces the other: many disconnected hosts leave room for reported issues. */
function shownOf(matters: readonly Matter[]): readonly Matter[] {
  const present = matters.filter(({ last }) => last === undefined);
  const reported = matters.filter(({ last }) => last !== undefined);
  const room = Math.max(listed - reported.length, Math.ceil(listed / 2));
  const first = present.slice(0, room);
  return [...first, ...reported.slice(0, listed - first.length)];
}

function useNow(): number {
  const [nowMs, setNowMs] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), tickMs);
    return () => clearInterval(timer);
  }, []);
  return nowMs;
}

import { useEffect, useState } from "preact/hooks";
import type { OverviewView } from "../../schema/rest/index.ts";
import { formatAgo, formatCount, plural } from "../format.ts";
import { type Issue, issuesOf } from "../live/issues.ts";
import { operationalEvents } from "../live/operational-events.ts";
import { useResolved } from "../live/resolved.ts";
import { href } from "../router.ts";
import { mayWriteHosts, seesAll } from "../session.ts";
import { KindLink } from "./conditions.tsx";
import { Prose } from "./prose.tsx";
import { Empty, Panel } from "./states.tsx";
import { Status } from "./status.tsx";

const listed = 10;
const endedListed = 5;
const tickMs = 10_000;

/** What needs attention now, and what was reported in the last quarter of an hour. */
export function Issues({ overview }: { readonly overview: OverviewView }) {
  const { conditions, concernCount, hosts } = overview;
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
  return <IssueList conditions={conditions} unlisted={concernCount - conditions.length} nowMs={nowMs} />;
}

function IssueList(props: {
  readonly conditions: OverviewView["conditions"];
  /** The controller names at most a hundred. */
  readonly unlisted: number;
  readonly nowMs: number;
}) {
  const { conditions, unlisted, nowMs } = props;
  const reported = issuesOf(conditions, operationalEvents.value, { nowMs, seesProblems: seesAll.value });
  const resolved = useResolved(reported);
  const issues = reported.map((each): Issue => (resolved.has(each.key) ? { ...each, end: "resolved" } : each));
  const open = issues.filter(({ end }) => end === undefined);
  const ended = issues.filter(({ end }) => end !== undefined);
  const count = open.length + unlisted;
  return (
    <Panel
      title="Needs attention"
      aside={count > 0 ? <a href={href(["conditions"])}>{plural(count, "issue")}</a> : undefined}
    >
      {open.length === 0 ? (
        <Empty title="Nothing needs attention">
          Every host with VMs is connected and no host has a condition
          {ended.length === 0 ? ", and nothing was reported in 15 minutes." : ", and all reported issues are resolved."}
        </Empty>
      ) : (
        <ul class="issues">
          {shownOf(open).map((issue) => (
            <Row key={issue.key} issue={issue} nowMs={nowMs} />
          ))}
          {count > listed && (
            <li class="issue-more">
              and {formatCount(count - listed)} more: <a href={href(["conditions"])}>conditions</a>,{" "}
              <a href={href(["events"], { kind: "operational" })}>what happened on them</a>
            </li>
          )}
        </ul>
      )}
      {ended.length > 0 && <Ended issues={ended} nowMs={nowMs} />}
    </Panel>
  );
}

function Ended({ issues, nowMs }: { readonly issues: readonly Issue[]; readonly nowMs: number }) {
  return (
    <section class="ended" aria-label="Resolved">
      <h3>Resolved in the last 15 minutes</h3>
      <ul>
        {issues.slice(0, endedListed).map((issue) => (
          <Row key={issue.key} issue={issue} nowMs={nowMs} />
        ))}
        {issues.length > endedListed && (
          <li class="issue-more">
            and {formatCount(issues.length - endedListed)} more:{" "}
            <a href={href(["events"], { kind: "operational" })}>what happened on hosts</a>
          </li>
        )}
      </ul>
    </section>
  );
}

function Row({ issue, nowMs }: { readonly issue: Issue; readonly nowMs: number }) {
  const { tone, kind, host, network, vm, title, detail, fix, since, isUnknown, others, last, end } = issue;
  return (
    <li class={`issue ${end === undefined ? tone : "ended-issue"}`}>
      <p>
        {host === undefined ? "the controller" : <a href={href(["hosts", host])}>{host}</a>}
        {others && <Others hosts={others} />}
        {vm !== undefined && others === undefined && (
          <>
            {", "}
            <a href={href(["vms", vm])}>{vm}</a>
          </>
        )}
        {network !== undefined && others === undefined && (
          <>
            {" in "}
            <a href={href(["networks", network])}>{network}</a>
          </>
        )}
        {last === undefined && vm === undefined && network === undefined && verb.test(title) ? " " : ": "}
        {title}
        {kind !== undefined && (
          <>
            {" "}
            <KindLink kind={kind} />
          </>
        )}
        {end !== undefined && (
          <>
            {" "}
            <Status tone="good">{end}</Status>
          </>
        )}
      </p>
      <p class="issue-detail">
        <bdi>
          <Prose text={detail} />
          {fix !== undefined && (
            <>
              {". Fix: "}
              <Prose text={fix} />
            </>
          )}
        </bdi>
        {since !== undefined && (
          <>
            {" · since "}
            <time dateTime={since}>{formatAgo(nowMs - Date.parse(since))}</time>
            {isUnknown && ", not known while the host is disconnected"}
          </>
        )}
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

/** Such a title continues the name before it. */
const verb = /^(?:is|are|has|have|keeps?|reports?|answers) /;

/** The first of those that have the same. */
function Others({ hosts }: { readonly hosts: readonly string[] }) {
  const shown = hosts.slice(0, 4);
  return (
    <>
      {shown.map((name) => (
        <>
          {", "}
          <a href={href(["hosts", name])}>{name}</a>
        </>
      ))}
      {hosts.length > shown.length && ` and ${formatCount(hosts.length - shown.length)} more`}
    </>
  );
}

/** Neither kind hides the other: many hosts that are away leave room for what was reported. */
function shownOf(issues: readonly Issue[]): readonly Issue[] {
  const present = issues.filter(({ last }) => last === undefined);
  const reported = issues.filter(({ last }) => last !== undefined);
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

// Everything that is wrong at present, by name.
import type { ConditionsView, ConditionView } from "../../schema/rest/index.ts";
import { withQuery } from "../api.ts";
import { formatCount, formatTime, plural, sentence } from "../format.ts";
import { changes, useResource } from "../live/resource.ts";
import { KindLink } from "../parts/conditions.tsx";
import { type Filter, FilterField, useSearch } from "../parts/filters.tsx";
import { Prose } from "../parts/prose.tsx";
import { hostFilter, networkFilter } from "../parts/rows.tsx";
import { wholeName } from "../parts/search.ts";
import { Empty, Load, PageHead } from "../parts/states.tsx";
import { Status } from "../parts/status.tsx";
import { TableHead } from "../parts/table-head.tsx";
import { href, place, refine } from "../router.ts";

const filters = [
  hostFilter,
  networkFilter,
  { key: "vm", title: "VM", hint: "any", read: wholeName("vm") },
] as const satisfies readonly Filter[];

export function ConditionsPage() {
  const { asked } = useSearch(filters);
  const kind = place.value.query.get("kind") ?? "";
  const options = { changedBy: changes("vm", "host", "network", "operational"), everyMs: 5_000 };
  const [found] = useResource<ConditionsView>(asked && withQuery("/v1/conditions", { ...asked, kind }), options);
  // For the choice of kinds: those that there are now.
  const [all] = useResource<ConditionsView>("/v1/conditions", options);
  const present = all.kind === "ready" ? all.value.conditions.map((each) => each.kind) : [];
  const kinds = [...new Set([...present, ...(kind === "" ? [] : [kind])])].sort();
  const change = (to: string) => refine({ ...Object.fromEntries(place.peek().query), kind: to });
  return (
    <>
      <PageHead title="Conditions" />
      <search class="filters">
        <div class="filter">
          <label for="condition-kind">Condition</label>
          <select id="condition-kind" value={kind} onChange={({ currentTarget }) => change(currentTarget.value)}>
            <option value="">All</option>
            {kinds.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </div>
        {filters.map((filter) => (
          <FilterField key={filter.key} filter={filter} />
        ))}
      </search>
      <Load of={found}>{(view) => <Found view={view} isFiltered={place.value.query.size > 0} />}</Load>
    </>
  );
}

function Found({ view, isFiltered }: { readonly view: ConditionsView; readonly isFiltered: boolean }) {
  const { conditions, total } = view;
  if (total === 0) {
    return (
      <div class="panel">
        {isFiltered ? (
          <Empty title="Nothing matches">
            <button type="button" class="small" onClick={() => refine({})}>
              Clear the search
            </button>
          </Empty>
        ) : (
          <Empty title="Nothing is wrong">
            No host, network or VM has a condition, and the controller has none. They appear here as soon as they are
            so, and go when they no longer are.
          </Empty>
        )}
      </div>
    );
  }
  return (
    <div class="table-block">
      <p class="panel-note" role="status">
        {conditions.length < total ? `The first ${formatCount(conditions.length)} of ` : ""}
        {plural(total, "condition")}, the severe ones first
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section class="scroll" tabIndex={0} aria-label="Conditions">
        <table class="table conditions">
          <TableHead titles={["Condition", "Host", "VM", "Network", "Since", "Reason and fix"]} />
          <tbody>
            {conditions.map((each) => (
              <Row key={[each.kind, each.host, each.network, each.subject].join(" ")} condition={each} />
            ))}
          </tbody>
        </table>
      </section>
    </div>
  );
}

function Row({ condition }: { readonly condition: ConditionView }) {
  const { kind, severity, status, host, vm, network, since, reason, fix } = condition;
  return (
    <tr>
      <td>
        <Status tone={severity === "bad" ? "bad" : "wait"}>
          <KindLink kind={kind} />
        </Status>
      </td>
      <td data-title="Host">{host === undefined ? "the controller" : <a href={href(["hosts", host])}>{host}</a>}</td>
      <td data-title="VM">{vm === undefined ? <None /> : <a href={href(["vms", vm])}>{vm}</a>}</td>
      <td data-title="Network">
        {network === undefined ? <None /> : <a href={href(["networks", network])}>{network}</a>}
      </td>
      <td data-title="Since">
        {formatTime(since)}
        {status === "unknown" && <span class="none"> not known while the host is disconnected</span>}
      </td>
      <td data-title="Reason" class="prose">
        <bdi>
          <Prose text={sentence(reason)} />
        </bdi>
        {fix !== undefined && (
          <p class="fix">
            <strong>Fix:</strong> <Prose text={fix} />
          </p>
        )}
      </td>
    </tr>
  );
}

function None() {
  return <span class="none">–</span>;
}

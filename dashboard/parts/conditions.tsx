// What is wrong with a resource at present, above its facts.
import { useState } from "preact/hooks";
import type { ConditionView } from "../../schema/rest/index.ts";
import { request } from "../api.ts";
import { formatTime, sentence } from "../format.ts";
import { href } from "../router.ts";
import { mayWrite } from "../session.ts";
import { Icon } from "./icon.tsx";
import { notice } from "./notices.tsx";
import { Prose } from "./prose.tsx";

/** Leads to all conditions of the kind. */
export function KindLink({ kind }: { readonly kind: string }) {
  return (
    <a class="kind" href={href(["conditions"], { kind })}>
      {kind}
    </a>
  );
}

/** What the fix says at its end. */
function Thaw({ condition: { network, subject } }: { readonly condition: ConditionView }) {
  const [refusal, setRefusal] = useState<string>();
  if (network === undefined || subject === undefined) return null;
  const thaw = async () => {
    try {
      await request("POST", `/v1/networks/${encodeURIComponent(network)}/thaw`, { body: { ip: subject } });
      setRefusal(undefined);
      notice(`${subject} may move again`);
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <p>
      <button type="button" class="small" onClick={thaw}>
        Let {subject} move again
      </button>{" "}
      {refusal !== undefined && <span role="alert">{sentence(refusal)}</span>}
    </p>
  );
}

function severeFirst(conditions: readonly ConditionView[]): ConditionView[] {
  const isMild = ({ severity }: ConditionView) => Number(severity !== "bad");
  return [...conditions].sort((a, b) => isMild(a) - isMild(b));
}

/** @param of absent: nothing. @param on the kind of page: what that page is about is not named */
export function Conditions({
  of = [],
  on,
}: {
  readonly of: ConditionView[] | undefined;
  readonly on: "host" | "network" | "vm";
}) {
  return (
    <>
      {severeFirst(of).map((each) => (
        <div
          key={[each.kind, each.host, each.network, each.subject].join(" ")}
          class={each.severity === "bad" ? "failure" : "failure warn"}
        >
          <Icon name="warning" />
          <div dir="auto">
            <p>
              <KindLink kind={each.kind} />
              {on !== "host" && each.host !== undefined && (
                <>
                  {" on "}
                  <a href={href(["hosts", each.host])}>{each.host}</a>
                </>
              )}
              {on !== "vm" && each.vm !== undefined && (
                <>
                  {" of "}
                  <a href={href(["vms", each.vm])}>{each.vm}</a>
                </>
              )}
              {on !== "network" && each.network !== undefined && (
                <>
                  {" in "}
                  <a href={href(["networks", each.network])}>{each.network}</a>
                </>
              )}
              {each.status === "unknown" ? " · not known while the host is disconnected; before since " : " · since "}
              {formatTime(each.since)}
            </p>
            <p>
              <Prose text={sentence(each.reason)} />
            </p>
            {each.fix !== undefined && (
              <p>
                <strong>Fix:</strong> <Prose text={each.fix} />
              </p>
            )}
            {each.kind === "address-frozen" && mayWrite.value && <Thaw condition={each} />}
          </div>
        </div>
      ))}
    </>
  );
}

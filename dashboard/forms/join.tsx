// The command that a host enrols with: shown once, to be copied.
import { useEffect, useRef, useState } from "preact/hooks";
import { joinLine } from "../../schema/plain/index.ts";
import type { JoinTokenView } from "../../schema/rest/index.ts";
import { ProblemError, request } from "../api.ts";
import { formatTime } from "../format.ts";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import type { Host } from "../parts/rows.tsx";
import { Failure } from "../parts/states.tsx";
import { identity } from "../session.ts";
import { Form } from "./form.tsx";

type Named = Pick<Host, "name">;

/** Asks first: the new line replaces an earlier one. */
export function Join({ host, onClose }: { readonly host: Named; readonly onClose: () => void }) {
  const [isAsked, setIsAsked] = useState(false);
  if (isAsked || !needsToken())
    return <JoinLine host={host} title={`Start the agent of ${host.name}`} onClose={onClose} />;
  const send = async () => {
    setIsAsked(true);
    return "stay" as const;
  };
  return (
    <Form title={`Enrol host ${host.name}`} submit="Create join line" initial={{}} send={send} onClose={onClose}>
      {() => (
        <p>
          Creates a command that lets this host enrol once, valid for an hour. An earlier join line of the host that is
          unused becomes invalid. A certificate that the host already has stays valid.
        </p>
      )}
    </Form>
  );
}

/** With --insecure there are neither tokens nor certificates. */
const needsToken = () => identity.value?.role !== "anyone";

/** @param title of the dialog */
export function JoinLine(props: { readonly host: Named; readonly title: string; readonly onClose: () => void }) {
  const { host, title, onClose } = props;
  const [made, setMade] = useState<JoinTokenView>();
  const [error, setError] = useState<Error>();
  useEffect(() => {
    if (!needsToken()) return;
    const path = `/v1/hosts/${encodeURIComponent(host.name)}/join-token`;
    request<JoinTokenView>("POST", path, { body: {} }).then(({ body }) => setMade(body), setError);
  }, []);
  return (
    <Dialog title={title} wide onDismiss={onClose}>
      <div class="form-body">
        {error && <Failure error={error} />}
        {error instanceof ProblemError && error.type === "no-tls" && (
          <p>Until then, agents reach this controller on its own machine only.</p>
        )}
        {!needsToken() && (
          <>
            <p>Run this on the host, as root:</p>
            <Command text={withoutTokens(host)} />
            <p class="help">This controller runs with --insecure: no host has to enrol, and any client may be one.</p>
          </>
        )}
        {needsToken() && !made && !error && <p class="loading">Asking the controller…</p>}
        {made && (
          <>
            <p>
              Run this on the host before {formatTime(made.expiresAt)}, as root. It is shown this once, and valid for
              one enrolment of {made.host}:
            </p>
            <Command text={joinLine(made)} />
            {made.enrolled && (
              <p class="help">The host has enrolled before: that certificate stays valid until you revoke the host.</p>
            )}
          </>
        )}
      </div>
      <DialogEnd onClose={onClose} />
    </Dialog>
  );
}

function withoutTokens({ name }: Named): string {
  return `nearmiss agent --controller ${location.origin} --host ${name}`;
}

function Command({ text }: { readonly text: string }) {
  const line = useRef<HTMLElement>(null);
  const [said, setSaid] = useState("");
  const copy = async () => setSaid((await copied(text, line.current)) ? "Copied" : "Press Ctrl+C to copy");
  return (
    <>
      <code ref={line} class="command">
        {text}
      </code>
      <p class="copy">
        <button type="button" class="small" onClick={copy}>
          Copy
        </button>
        <span role="status">{said}</span>
      </p>
    </>
  );
}

/** Browsers give the clipboard only to pages over TLS or of the machine itself: elsewhere the line is selected. */
async function copied(text: string, shown: HTMLElement | null): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (shown) getSelection()?.selectAllChildren(shown);
    return false;
  }
}

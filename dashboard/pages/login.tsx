import { useRef, useState } from "preact/hooks";
import { sentence } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { Prose } from "../parts/prose.tsx";
import { logIn } from "../session.ts";

export function LoginPage({ because }: { readonly because: string | undefined }) {
  const [refusal, setRefusal] = useState(because);
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    const token = input.current?.value.trim() ?? "";
    setBusy(true);
    // Other text cannot be sent as a token.
    const why = /^[\w-]+$/.test(token)
      ? await logIn(token)
      : "That is not a valid token: a token starts with nm_ and contains no spaces.";
    setBusy(false);
    setRefusal(why);
    if (why !== undefined) input.current?.select();
  };
  return (
    <main class="login">
      <form class="login-card" onSubmit={submit}>
        <p class="brand">
          <Icon name="brand" />
          nearmiss
        </p>
        <h1>Log in</h1>
        <label for="token">Token</label>
        <input
          id="token"
          ref={input}
          type="password"
          autocomplete="off"
          spellcheck={false}
          placeholder="nm_…"
          aria-describedby="token-help token-fault"
          aria-invalid={refusal !== undefined}
          required
        />
        <p id="token-fault" class="fault" role="alert" dir="auto">
          {refusal !== undefined && <Prose text={sentence(refusal)} />}
        </p>
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "Asking the controller…" : "Log in"}
        </button>
        <p id="token-help" class="help">
          On the controller's machine <code>nearmiss token create --role viewer</code> makes one. It is kept in this tab
          until the tab is closed, and sent to this controller only.
        </p>
      </form>
    </main>
  );
}

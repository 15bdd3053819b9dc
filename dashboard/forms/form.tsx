// What every form has: fields with the API's words beneath them, and one way to send.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { get, ProblemError, withQuery } from "../api.ts";
import { sentence } from "../format.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Prose } from "../parts/prose.tsx";
import { namesBeginning } from "../parts/search.ts";
import { assignFaults, type Faults, noFaults } from "./faults.ts";

/** Text of the fields by their JSON Pointer into the body. */
export type Values = Readonly<Record<string, string>>;

export interface FormModel {
  readonly values: Values;
  readonly faults: Faults;
  readonly set: (pointer: string, value: string) => void;
  readonly replace: (values: Values) => void;
}

export function Form(props: {
  readonly title: string;
  readonly submit: string;
  readonly wide?: boolean;
  /** Its effect cannot be undone. */
  readonly isFinal?: boolean;
  readonly initial: Values;
  /** @returns "stay" where closing is not all that is left. @throws ProblemError, which is shown at its fields */
  readonly send: (values: Values) => Promise<"stay" | undefined>;
  readonly onClose: () => void;
  readonly children: (form: FormModel) => ComponentChildren;
}) {
  const { title, submit, wide, isFinal, initial, send, onClose, children } = props;
  const [values, setValues] = useState(initial);
  const [faults, setFaults] = useState(noFaults);
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  // Focuses the first fault. In the layout effect: later it could take the focus from a field that the user is typing in.
  useLayoutEffect(() => {
    if (faults === noFaults) return;
    form.current?.querySelector<HTMLElement>(".form-fault, [aria-invalid=true]")?.focus();
  }, [faults]);
  const onSubmit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      if ((await send(values)) !== "stay") onClose();
    } catch (error) {
      if (error instanceof ProblemError) setFaults(assignFaults(error.problem, values));
      else setFaults({ byField: {}, general: [error instanceof Error ? error.message : String(error)] });
      setBusy(false);
    }
  };
  const model: FormModel = {
    values,
    faults,
    set: (pointer, value) => setValues((all) => ({ ...all, [pointer]: value })),
    replace: setValues,
  };
  const isTouched = [...Object.keys(values), ...Object.keys(initial)].some((key) => values[key] !== initial[key]);
  // Escape closes a list of suggestions, too: pressed once more by mistake, it must not cost what was entered.
  const onDismiss = () => (isTouched ? setAsking(!asking) : onClose());
  return (
    <Dialog title={title} onDismiss={onDismiss} {...(wide ? { wide } : {})}>
      <form ref={form} onSubmit={onSubmit} noValidate>
        {faults.general.map((text) => (
          <p key={text} class="form-fault" role="alert" tabIndex={-1} dir="auto">
            <Prose text={sentence(text)} />
          </p>
        ))}
        <div class="form-body">{children(model)}</div>
        {asking ? (
          <Discard onKeep={() => setAsking(false)} onDiscard={onClose} />
        ) : (
          <div class="form-end">
            <button type="button" onClick={onClose}>
              Cancel
            </button>
            <button type="submit" class={isFinal ? "primary final" : "primary"} disabled={busy}>
              {busy ? "Sending…" : submit}
            </button>
          </div>
        )}
      </form>
    </Dialog>
  );
}

/** In place of the form's buttons. */
function Discard({ onKeep, onDiscard }: { readonly onKeep: () => void; readonly onDiscard: () => void }) {
  const keep = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => keep.current?.focus(), []);
  return (
    <div class="form-end form-discard" role="alert">
      <p>Discard what you have entered?</p>
      <button type="button" class="danger" onClick={onDiscard}>
        Discard
      </button>
      <button type="button" ref={keep} class="primary" onClick={onKeep}>
        Keep editing
      </button>
    </div>
  );
}

interface FieldProps {
  readonly form: FormModel;
  readonly pointer: string;
  readonly label: string;
  readonly hint?: string;
  readonly help?: string;
  /** Cannot change. */
  readonly fixed?: boolean;
  readonly lines?: boolean;
  /** Names of these are suggested. */
  readonly suggest?: "hosts" | "networks";
}

export function Field({ form, pointer, label, hint, help, fixed, lines, suggest }: FieldProps) {
  const id = useId();
  const faults = form.faults.byField[pointer] ?? [];
  const value = form.values[pointer] ?? "";
  const common = {
    id,
    value,
    placeholder: hint ?? "",
    "aria-invalid": faults.length > 0,
    "aria-describedby": `${id}-fault ${id}-help`,
    autocomplete: "off",
    spellcheck: false,
    dir: "auto",
  } as const;
  return (
    <div class={lines ? "field field-lines" : "field"}>
      <label for={id}>{label}</label>
      {lines ? (
        <textarea {...common} rows={3} onInput={({ currentTarget }) => form.set(pointer, currentTarget.value)} />
      ) : (
        <input
          {...common}
          type="text"
          disabled={fixed === true}
          {...(suggest ? { list: `${id}-list` } : {})}
          onInput={({ currentTarget }) => form.set(pointer, currentTarget.value)}
        />
      )}
      {suggest && <Suggestions id={`${id}-list`} plural={suggest} prefix={value} />}
      <p id={`${id}-fault`} class="fault" role="alert" dir="auto">
        <Prose text={sentence(faults.join("; "))} />
      </p>
      <p id={`${id}-help`} class="help">
        {help}
      </p>
    </div>
  );
}

/** One of few values; the first is the default and stands for an absent field. */
export function Choice({
  form,
  pointer,
  label,
  help,
  values,
}: Pick<FieldProps, "form" | "pointer" | "label" | "help"> & { readonly values: readonly string[] }) {
  const id = useId();
  const [first = ""] = values;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={form.values[pointer] || first}
        aria-describedby={`${id}-help`}
        onChange={({ currentTarget }) => form.set(pointer, currentTarget.value)}
      >
        {values.map((value) => (
          <option key={value} value={value}>
            {value}
          </option>
        ))}
      </select>
      <p id={`${id}-help`} class="help">
        {help}
      </p>
    </div>
  );
}

export function Check({ form, pointer, label }: Pick<FieldProps, "form" | "pointer" | "label">) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={form.values[pointer] === "true"}
        onChange={({ currentTarget }) => form.set(pointer, String(currentTarget.checked))}
      />
      {label}
    </label>
  );
}

function Suggestions({
  id,
  plural,
  prefix,
}: {
  readonly id: string;
  readonly plural: string;
  readonly prefix: string;
}) {
  const [names, setNames] = useState<readonly string[]>([]);
  useEffect(() => {
    const sought = namesBeginning(prefix.trim());
    // Text that is not the prefix of a valid name is not searched for: the form reports the fault when it is sent.
    if (!("ask" in sought)) return setNames([]);
    const abort = new AbortController();
    const path = withQuery(`/v1/${plural}`, { limit: 12, ...sought.ask });
    get<Record<string, { name: string }[]>>(path, abort.signal).then(
      (page) => setNames((page[plural] ?? []).map(({ name }) => name)),
      () => abort.signal.aborted || setNames([]),
    );
    return () => abort.abort();
  }, [plural, prefix]);
  return (
    <datalist id={id}>
      {names.map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}

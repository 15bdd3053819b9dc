import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon } from "./icon.tsx";

/** Modal: the browser keeps the focus inside. Then the focus returns to its previous element. */
export function Dialog(props: {
  readonly title: string;
  readonly wide?: boolean;
  /** By Escape or the cross: closes it, or asks first. */
  readonly onDismiss: () => void;
  readonly children: ComponentChildren;
}) {
  const { title, wide, onDismiss, children } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // Otherwise it would be on the close button.
    element?.querySelector<HTMLElement>("input:enabled, textarea")?.focus();
    // Taken out of the page while it is modal, it would take the focus with it.
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "dialog wide" : "dialog"}
      aria-labelledby={heading}
      // Before the browser takes it as a wish to close: it asks only once whether it may.
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        onDismiss();
      }}
      // The same wish by other means, such as a gesture.
      onCancel={(event) => {
        event.preventDefault();
        onDismiss();
      }}
    >
      <div class="dialog-head">
        <h2 id={heading}>{title}</h2>
        <button type="button" class="quiet icon-button" aria-label="Close" onClick={onDismiss}>
          <Icon name="close" />
        </button>
      </div>
      {children}
    </dialog>
  );
}

/** Of a dialog that shows a result: there is nothing left to do. */
export function DialogEnd({ onClose }: { readonly onClose: () => void }) {
  return (
    <div class="form-end">
      <button type="button" class="primary" onClick={onClose}>
        Done
      </button>
    </div>
  );
}

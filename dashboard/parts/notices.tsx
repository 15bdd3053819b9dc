// Temporary notices on completed actions.
import { signal } from "@preact/signals";
import { noticeMs } from "../moments.ts";

const notices = signal<readonly { readonly id: number; readonly text: string }[]>([]);
let count = 0;

export function notice(text: string): void {
  count += 1;
  const id = count;
  notices.value = [...notices.value.slice(-2), { id, text }];
  setTimeout(() => {
    notices.value = notices.value.filter((each) => each.id !== id);
  }, noticeMs);
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ id, text }) => (
        <p key={id} dir="auto">
          {text}
        </p>
      ))}
    </div>
  );
}

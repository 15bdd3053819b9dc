/** Texts of controller and agents: commands are between backticks. */
export function Prose({ text }: { readonly text: string }) {
  const parts = text.split("`");
  // Without its partner a backtick is one.
  if (parts.length % 2 === 0) return <>{text}</>;
  return <>{parts.map((part, i) => (i % 2 === 0 ? part : <code key={String(i)}>{part}</code>))}</>;
}

// The page with the figures of all benches: prose that people write, and between marks what the benches print. Pure.

const end = "<!-- /bench -->";

export interface Figures {
  readonly name: string;
  readonly about: string;
  /** As it is printed. */
  readonly text: string;
  /** Where and when it was measured. */
  readonly origin: string;
}

/** The page with these figures in place of earlier ones, or with a section at its end where it has no marks for them. */
export function withFigures(page: string, { name, about, text, origin }: Figures): string {
  const begin = `<!-- bench ${name} -->`;
  const block = `${begin}\n\`\`\`text\n${text.replace(/^\n+/, "").trimEnd()}\n\`\`\`\n\n${origin}\n${end}`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) return `${page.trimEnd()}\n\n## \`${name}\`\n\n${sentence(about)}\n\n${block}\n`;
  return page.slice(0, from) + block + page.slice(to + end.length);
}

function sentence(about: string): string {
  return `${about.charAt(0).toUpperCase()}${about.slice(1)}.`;
}

// The help of `nearmiss` itself, printed without loading a command.
import { aliasesOf } from "../cli/words.ts";
import { commands, sections } from "./commands.ts";

/** Where the descriptions begin. */
const indent = 17;

export function rootHelp(columns: number): string {
  const names = commands.map(({ name }) => name);
  const line = (name: string, text: string) =>
    `  ${name.padEnd(indent - 2)}${wrapped(text, Math.max(columns, 60) - indent).join(`\n${" ".repeat(indent)}`)}\n`;
  const also = names.flatMap((name) => aliasesOf(name, true, names).map((word) => `${word} = ${name}`)).join(", ");
  return [
    "Usage: nearmiss COMMAND [options]\n",
    "The control plane for Linux VXLAN that answers the kernel's neighbour misses\n",
    "Networks, hosts and VMs are entries of its inventory:\nno command makes, starts or stops a VM.\n",
    ...sections.map(
      ({ title, commands: each }) => `${title}:\n${each.map(({ name, summary }) => line(name, summary)).join("")}`,
    ),
    `Options:\n${line("-V, --version", "print the version")}${line("-h, --help", "print this help, or that of a command")}`,
    `\`nearmiss COMMAND --help\` describes a command, \`nearmiss help vm create\` one below it.\n` +
      `${wrapped(`Other words: ${also}.`, Math.max(columns, 60)).join("\n")}\n`,
  ].join("\n");
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

// Prints a plan: a line for each resource, and its changes below it.
import { type Cell, paint } from "../output.ts";
import { type FieldChange, textOf } from "./changes.ts";
import type { Fields, InterfaceFields } from "./fleet.ts";
import type { Plan, Step } from "./plan.ts";

const marks = {
  create: { text: "+", colour: "green" },
  update: { text: "~", colour: "yellow" },
  delete: { text: "-", colour: "red" },
} as const satisfies Record<Step["action"], Cell>;

/** Of further ones, only the number is printed. */
const maxNames = 10;

export function describePlan({ steps, unchanged, extra }: Plan): string {
  const count = (action: Step["action"]) => steps.filter((step) => step.action === action).length;
  const counts = `${count("create")} to create, ${count("update")} to update, ${count("delete")} to delete`;
  const names = extra.slice(0, maxNames).map(({ kind, name }) => `${kind} ${name}`);
  const rest = extra.length > maxNames ? `, … ${extra.length} in all` : "";
  const note = extra.length > 0 ? `Not in the file, left alone without --prune: ${names.join(", ")}${rest}\n` : "";
  return `${steps.map(describeStep).join("")}${counts}, ${unchanged} unchanged\n${note}`;
}

function describeStep(step: Step): string {
  const head = `${paint(marks[step.action])} ${step.kind} ${step.name}`;
  if (step.action === "delete") return `${head}\n`;
  const changes = step.action === "update" ? step.changes : created(step.wanted);
  const lines = changes.map((change) => `    ${describeChange(change, step.action === "update")}\n`);
  return `${head}\n${lines.join("")}`;
}

/** Each non-empty field of a new resource. */
function created(wanted: Fields): FieldChange[] {
  return Object.entries(wanted).flatMap(([field, to]): FieldChange[] => {
    if (to === "" || field === "origin") return [];
    if (field === "interfaces") {
      return (to as InterfaceFields[]).map(({ name, ...rest }) => ({ field: name, from: undefined, to: rest }));
    }
    if (field === "labels")
      return Object.entries(to as Fields).map(([key, value]) => ({
        field: `labels.${key}`,
        from: undefined,
        to: value,
      }));
    return [{ field, from: undefined, to }];
  });
}

function describeChange({ field, from, to }: FieldChange, isUpdate: boolean): string {
  return paint(`${field}: ${isUpdate ? `${textOf(from)} → ` : ""}${textOf(to)}`);
}

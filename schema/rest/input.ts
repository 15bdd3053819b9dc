// Bodies as people write them: all faults are reported at once, each with its place.
import { AddressError } from "../address/index.ts";

/** One fault in a body: a JSON Pointer (RFC 6901) and what to do about it. */
export interface InputFault {
  readonly pointer: string;
  readonly detail: string;
}

/** All faults of a body. */
export class InputError extends Error {
  override readonly name = "InputError";
  constructor(readonly faults: readonly InputFault[]) {
    super(faults.map((fault) => `${fault.pointer || "body"}: ${fault.detail}`).join("; "));
  }
}

/** Collects the faults of a body, so that its writer hears of all of them in one answer. */
export class Faults {
  private readonly list: InputFault[] = [];

  add(pointer: string, detail: string): undefined {
    this.list.push({ pointer, detail });
  }

  /** The parsed value, or undefined with the fault noted. */
  at<T>(pointer: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      return this.add(pointer, error.message);
    }
  }

  sameName(path: string, body: string | undefined): void {
    if (body !== undefined && body !== path)
      this.add("/name", `"${body}" differs from "${path}" in the path: names are immutable`);
  }

  throwIfAny(): void {
    if (this.list.length > 0) throw new InputError(this.list);
  }
}

/** One reference token of a JSON Pointer (RFC 6901 §3). */
export function pointerToken(text: string): string {
  return text.replaceAll("~", "~0").replaceAll("/", "~1");
}

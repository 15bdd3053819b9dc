// One check of `explain` on the path from a guest to another.
import { defined } from "../../common/defined.ts";

export interface Check {
  readonly name: string;
  /** A note is not a problem by itself. */
  readonly state: "ok" | "wrong" | "note";
  readonly says: string;
  readonly fix?: string;
}

export const ok = (name: string, says: string): Check => ({ name, state: "ok", says });
export const wrong = (name: string, says: string, fix: string): Check => ({ name, state: "wrong", says, fix });
export const note = (name: string, says: string, fix?: string): Check => ({
  name,
  state: "note",
  says,
  ...defined({ fix }),
});

// All modes by name.
import { defined } from "../../../common/defined.ts";
import { floodAndLearnMode } from "./flood-and-learn.ts";
import type { Mode, ModeName } from "./mode.ts";
import { nearmissMode } from "./nearmiss.ts";
import { staticMode } from "./static.ts";
import { tutorialMode } from "./tutorial.ts";

export function modeNamed(name: ModeName, agentLogLevel?: string): Mode {
  const level = defined({ agentLogLevel });
  switch (name) {
    case "static":
      return staticMode;
    case "flood-and-learn":
      return floodAndLearnMode;
    case "tutorial":
      return tutorialMode;
    case "nearmiss":
      return nearmissMode({ name, announce: true, ...level });
    case "on-demand-far":
      return nearmissMode({ name, announce: true, far: true, ...level });
    case "on-demand-cold":
      return nearmissMode({ name, announce: true, cold: true, ...level });
    case "replicate":
    case "prefetch":
      return nearmissMode({ name, announce: true, knowledge: name, ...level });
    case "replicate-alone":
      return nearmissMode({ name, announce: true, knowledge: "replicate", alone: true, ...level });
    case "nearmiss-announce-off":
      return nearmissMode({ name, announce: false, ...level });
  }
}

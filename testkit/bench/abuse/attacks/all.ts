// All attacks on a controller.
import type { Attack } from "./attack.ts";
import { rogueHost } from "./rogue-host.ts";
import { strangers } from "./strangers.ts";
import { tenant } from "./tenant.ts";

export const controllerAttacks = { ...strangers, ...rogueHost, ...tenant } as const satisfies Record<string, Attack>;

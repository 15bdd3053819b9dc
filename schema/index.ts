// The one barrel: everything that crosses a process or disk boundary.
export * from "./access.ts";
export * from "./address.ts";
export * from "./agent-protocol.ts";
export * from "./binding.ts";
export * from "./event-stream.ts";
export * from "./events.ts";
export * from "./host.ts";
export * from "./input.ts";
export * from "./limits.ts";
export * from "./merge-patch.ts";
export * from "./metadata.ts";
export * from "./move.ts";
export * from "./network.ts";
export * from "./operational.ts";
export * from "./problems.ts";
export * from "./version.ts";
export * from "./vm.ts";

// The one barrel: everything that crosses a process or disk boundary.
export * from "./access.ts";
export * from "./address.ts";
export * from "./agent-protocol.ts";
export * from "./binding.ts";
export * from "./events.ts";
export * from "./problems.ts";
export * from "./resources.ts";
export * from "./version.ts";

// What needs neither a package nor Node: pages in browsers and short commands load nothing else.
export * from "./broadcast.ts";
export * from "./event-connection.ts";
export * from "./join-line.ts";
export * from "./knowledge.ts";
export * from "./limits.ts";
export * from "./names.ts";
export * from "./problems.ts";
export * from "./rate-ranges.ts";
export * from "./selector.ts";

// What clients of the REST API send and get, and the parsed forms behind it.
export * from "./access.ts";
export * from "./allowed-address.ts";
export * from "./condition.ts";
export * from "./group.ts";
export * from "./host.ts";
export * from "./input.ts";
export * from "./join-token.ts";
export * from "./merge-patch.ts";
export * from "./metadata.ts";
export * from "./move.ts";
export * from "./network.ts";
export * from "./observe.ts";
export * from "./shape-faults.ts";
export * from "./vm.ts";

// A stored VM on its way into rows, without an object for each: a start reads millions. Texts are ranges of bytes, addresses
// are words. One record is filled again and again.
import { limits } from "../../../schema/plain/index.ts";

/** Fields of an interface in `PackedVm.interfaces`. An absent text has the same start and end. */
export const packedInterface = {
  networkStart: 0,
  networkEnd: 1,
  nameStart: 2,
  nameEnd: 3,
  portStart: 4,
  portEnd: 5,
  parentStart: 6,
  parentEnd: 7,
  macHigh: 8,
  macLow: 9,
  /** 0: absent. 1: false. 2: true. */
  router: 10,
  ipCount: 11,
  fields: 12,
} as const;

/** A VM without prepared host and owner networks. */
export class PackedVm {
  /** All texts, as ASCII. They may be overwritten when the VM has been taken over. */
  bytes: Uint8Array = new Uint8Array(0);
  nameStart = 0;
  nameEnd = 0;
  hostStart = 0;
  hostEnd = 0;
  /** JSON; empty: none. */
  labelsStart = 0;
  labelsEnd = 0;
  descriptionStart = 0;
  descriptionEnd = 0;
  revision = 0;
  /** A UUID, as `readUuid` has it. */
  readonly uid = new Int32Array(4);
  interfaceCount = 0;
  readonly interfaces = new Int32Array(limits.interfacesPerVm * packedInterface.fields);
  /** Four words each, of all interfaces in order. */
  readonly ips = new Int32Array(limits.interfacesPerVm * limits.ipsPerInterface * 4);
}

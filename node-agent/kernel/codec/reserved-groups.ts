// The groups 01:80:c2:00:00:00 … 0f, which a standard bridge does not forward (IEEE 802.1Q, table 8-1). Linux delivers a frame
// for most of them to the stack of the port that received it, bypassing the bridge and every filter on the bridge's own device:
// br_handle_frame() in net/bridge/br_input.c. The frame may contain IPv4, IPv6 or ARP, and the host then answers its guest. A
// group that is forwarded is handled like all multicast, and stops at the filter on the bridge.
/** First of the sixteen; the rest differ in the last four bits. */
export const firstReservedGroup = Buffer.from("0180c2000000", "hex");
export const reservedGroupMask = Buffer.from("fffffffffff0", "hex");

/** What a bridge as a whole can forward: the kernel refuses the bits of STP, pause and LACP (BR_GROUPFWD_RESTRICTED). */
export const bridgeGroupForward = 0xfff8;
/** What a single port can forward: all but pause (BR_GROUPFWD_MACPAUSE), and frames for that one are dropped. */
export const portGroupForward = 0xfffd;

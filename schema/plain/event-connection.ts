// How one gets to the event stream, and why one is sent away. Imports nothing, so that pages in browsers load no more.
export const eventsPath = "/v1/events";

/** CloudEvents' WebSocket binding, JSON event format. */
export const cloudEventsProtocol = "cloudevents.json";

/**
 * A client that cannot set headers, such as a page in a browser, offers this and its token as a WebSocket subprotocol.
 * It is never the one that is selected.
 */
export const bearerProtocol = "bearer.nearmiss.";

/**
 * Why the controller closed a stream (RFC 6455 §7.4.2: 4000 … 4999 are the application's). Server-Sent Events say the same
 * in a last event named `end`.
 */
export const eventCloseCodes = {
  /** The consumer read more slowly than events arrived: connect again after the last event received. */
  tooSlow: 4408,
  /** The log no longer goes back that far: start from a snapshot. */
  compacted: 4410,
  /** The position lies beyond the log, or is of another epoch: start from a snapshot. */
  unknownPosition: 4416,
  /** The token was revoked or has expired. */
  revoked: 4401,
  failed: 1011,
  controllerStopping: 1001,
} as const;

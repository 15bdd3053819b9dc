// Display times of temporary elements.

/** A move on the map, ms; its fading in `styles/drawing.css` takes as long. */
export const flightMs = 4_000;
/** Notices on completed actions, ms. */
export const noticeMs = 6_000;

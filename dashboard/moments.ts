// How long is shown what goes by itself.

/** A move on the map, ms; its fading in `styles/drawing.css` takes as long. */
export const flightMs = 4_000;
/** Short words on what was done, ms. */
export const noticeMs = 6_000;

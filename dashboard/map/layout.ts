// Positions of hosts on the map, and the lines between them. Pure: the same names always get the same positions.
export interface Spot {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  /** A few hosts are cards on a ring; many are tiles in rows. */
  readonly kind: "ring" | "grid";
  readonly width: number;
  readonly height: number;
  /** Of one card or tile. */
  readonly card: { readonly width: number; readonly height: number };
  readonly columns: number;
  /** Centres, in the order of the names. */
  readonly spots: readonly Spot[];
  /** On a card the name, which is cut where it is drawn; on a tile what fits of it, or tells it from the others: may be empty. */
  readonly labels: readonly string[];
}

/** How much room there is: a desk's screen, or a phone's. In units of the drawing, of about a pixel each. */
const rooms = {
  wide: { width: 1_000, maxOnRing: 12, ringHeight: 560, shape: 1.9, maxColumns: 60 },
  narrow: { width: 340, maxOnRing: 5, ringHeight: 480, shape: 0.7, maxColumns: 9 },
} as const;
export type Room = keyof typeof rooms;

const maxBend = 36;
const margin = 26;
/** Between a card and the frame that marks where a move ends. */
export const goalMargin = 6;
/** Of a letter at the size that tiles have, in units of the drawing. */
const letterWidth = 6.6;

export function layOut(names: readonly string[], room: Room = "wide"): Layout {
  return names.length <= rooms[room].maxOnRing ? ring(names, room) : grid(names, room);
}

function ring(names: readonly string[], room: Room): Layout {
  const { width, ringHeight } = rooms[room];
  const card = { width: room === "wide" ? 168 : 132, height: 62 };
  const side = room === "wide" ? margin : goalMargin + 2;
  const radius = { x: width / 2 - card.width / 2 - side, y: ringHeight / 2 - card.height / 2 - margin };
  // Where there is little room sideways, all of it is used: those that are not in the middle stand at its edges.
  const power = room === "wide" ? 1 : 0.35;
  const spots = names.map((_, i) => {
    if (names.length === 1) return { x: width / 2, y: 0 };
    // Two stand side by side; more begin at the top.
    const start = names.length === 2 ? Math.PI : -Math.PI / 2;
    const angle = start + (2 * Math.PI * i) / names.length;
    const across = Math.cos(angle);
    const x = Math.abs(across) < 1e-9 ? 0 : Math.sign(across) * Math.abs(across) ** power;
    return { x: width / 2 + radius.x * x, y: radius.y * Math.sin(angle) };
  });
  const ys = spots.map(({ y }) => y);
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  // A few stand in the middle of a drawing that is not too flat for their lines.
  const height = Math.max(bottom - top + card.height + 2 * margin, 220);
  const shift = height / 2 - (top + bottom) / 2;
  return {
    kind: "ring",
    width,
    height,
    card,
    columns: 1,
    spots: spots.map(({ x, y }) => ({ x, y: y + shift })),
    labels: names,
  };
}

function grid(names: readonly string[], room: Room): Layout {
  const { width, shape, maxColumns } = rooms[room];
  const columns = Math.min(maxColumns, Math.ceil(Math.sqrt(names.length * shape)));
  const pitch = width / columns;
  const card = { width: pitch * 0.8, height: Math.min(44, pitch * 0.62) };
  const rowPitch = card.height * 1.5 + 3;
  const rows = Math.ceil(names.length / columns);
  const spots = names.map((_, i) => ({
    x: pitch * ((i % columns) + 0.5),
    y: maxBend / 2 + rowPitch * (Math.floor(i / columns) + 0.5),
  }));
  const letters = Math.floor((card.width - 6) / letterWidth);
  const shared = commonPrefix(names);
  // A number is cut apart only where it does not fit otherwise.
  const word = shared.replace(/\d+$/, "");
  const label = (name: string) => {
    const ways = [name, name.slice(word.length), name.slice(shared.length)];
    const rest = ways.find((way) => way.length <= letters);
    return rest ?? (letters >= 5 ? cut(name.slice(word.length), letters) : "");
  };
  return { kind: "grid", width, height: rowPitch * rows + maxBend, card, columns, spots, labels: names.map(label) };
}

export function commonPrefix(names: readonly string[]): string {
  const [first = "", ...others] = names;
  let length = first.length;
  for (const name of others) while (!name.startsWith(first.slice(0, length))) length -= 1;
  return first.slice(0, length);
}

function cut(text: string, letters: number): string {
  return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
}

/** A path of SVG from one centre to the other: bent, so that lines over the same places stay apart. */
export function linkPath({ kind, width: w, height: h }: Layout, from: Spot, to: Spot): string {
  const middle = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
  const pull = 0.35;
  const bend =
    kind === "ring"
      ? { x: middle.x + (w / 2 - middle.x) * pull, y: middle.y + (h / 2 - middle.y) * pull }
      : { x: middle.x + bent(to.y - from.y), y: middle.y - bent(to.x - from.x) };
  const at = ({ x, y }: Spot) => `${round(x)} ${round(y)}`;
  return `M${at(from)}Q${at(bend)} ${at(to)}`;
}

/** By how much a line of tiles leaves the straight way: never so far that it leaves the drawing. */
function bent(length: number): number {
  return Math.sign(length) * Math.min(maxBend, Math.abs(length) * 0.12);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** The host to which an arrow key leads from `index`. */
export function neighbour({ kind, columns, spots }: Layout, index: number, key: string): number {
  const steps: Readonly<Record<string, number>> =
    kind === "ring"
      ? { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }
      : { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  const last = spots.length - 1;
  if (key === "Home") return 0;
  if (key === "End") return last;
  const to = index + (steps[key] ?? 0);
  if (kind === "ring") return (to + spots.length) % spots.length;
  return to < 0 || to > last ? index : to;
}

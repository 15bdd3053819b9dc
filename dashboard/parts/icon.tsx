// Line drawings on a grid of 20, in the colour of the text beside them.
const paths = {
  brand: "M3 14 8 6l4 5 4-6M16 5h.01",
  overview: "M3 4h6v6H3zM11 4h6v3h-6zM11 9h6v7h-6zM3 12h6v4H3z",
  map: "M5 5h.01M15 5h.01M10 15h.01M5 5l5 10 5-10zM5 3a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM15 3a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM10 13a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  vm: "M3 5h14v9H3zM7 17h6M10 14v3",
  host: "M4 3h12v6H4zM4 11h12v6H4zM7 6h.01M7 14h.01",
  network: "M10 3v5M4 17v-4h12v4M10 8v5M7 3h6M2 17h4M14 17h4",
  events: "M3 10h3l2-6 4 12 2-6h3",
  warning: "M10 3 2 17h16zM10 8v4M10 14.5h.01",
  check: "M4 10l4 4 8-9",
  system: "M3 4h14v9H3zM7 17h6",
  light:
    "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M15.7 4.3l-1.1 1.1M5.4 14.6l-1.1 1.1",
  dark: "M16.5 12A7 7 0 1 1 8 3.5a5.5 5.5 0 0 0 8.5 8.5z",
  close: "M5 5l10 10M15 5 5 15",
  plus: "M10 4v12M4 10h12",
  search: "M9 3a6 6 0 1 0 0 12A6 6 0 0 0 9 3zM13.5 13.5 17 17",
  arrow: "M4 10h12M11 5l5 5-5 5",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

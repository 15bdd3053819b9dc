import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatCount } from "../format.ts";
import { stream } from "../live/stream.ts";
import { href, place } from "../router.ts";
import { isNarrow } from "../screen.ts";
import { identity, logOut } from "../session.ts";
import { Icon, type IconName } from "./icon.tsx";
import { Notices } from "./notices.tsx";
import { ThemeSwitch } from "./theme-switch.tsx";

const sections: readonly { readonly path: string; readonly title: string; readonly icon: IconName }[] = [
  { path: "", title: "Overview", icon: "overview" },
  { path: "conditions", title: "Conditions", icon: "warning" },
  { path: "map", title: "Map", icon: "map" },
  { path: "vms", title: "VMs", icon: "vm" },
  { path: "hosts", title: "Hosts", icon: "host" },
  { path: "networks", title: "Networks", icon: "network" },
  { path: "events", title: "Events", icon: "events" },
];

export function Shell({ children }: { readonly children: ComponentChildren }) {
  const [section = ""] = place.value.path;
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to content
      </button>
      <header class="bar">
        <a class="brand" href={href([])}>
          <Icon name="brand" />
          <span>nearmiss</span>
        </a>
        <LinkBadge />
        <div class="bar-end">
          {!isNarrow.value && <ThemeSwitch />}
          <Caller />
        </div>
      </header>
      <LostBanner />
      <div class="frame">
        <nav class="side" aria-label="Pages">
          <ul>
            {sections.map(({ path, title, icon }) => (
              <li key={path}>
                <a href={href(path === "" ? [] : [path])} aria-current={section === path ? "page" : undefined}>
                  <Icon name={icon} />
                  <span>{title}</span>
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <main id="main" tabIndex={-1}>
          {children}
          <footer class="about">
            <span>nearmiss {identity.value?.version}</span>
            <a href={href(["help"])}>Help</a>
            <a href="/docs">API</a>
            {isNarrow.value && <ThemeSwitch />}
          </footer>
        </main>
      </div>
      <Notices />
    </>
  );
}

function LinkBadge() {
  const { kind } = stream.link.value;
  const text = { connecting: "Connecting", live: "Live", lost: "No connection" }[kind];
  return (
    <p class={`link link-${kind}`} role="status">
      <span class="dot" aria-hidden="true" />
      {text}
      {stream.followed.value > 0 && <span class="link-revision">revision {formatCount(stream.followed.value)}</span>}
    </p>
  );
}

function LostBanner() {
  const state = stream.link.value;
  const [now, setNow] = useState(Date.now());
  const isLost = state.kind === "lost";
  useEffect(() => {
    if (!isLost) return;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [isLost]);
  if (state.kind !== "lost") return null;
  const seconds = Math.max(0, Math.round((now - state.sinceMs) / 1_000));
  return (
    <div class="lost" role="alert">
      <Icon name="warning" />
      <p>
        <strong>The controller does not answer.</strong> This page shows the last known state{" "}
        <span aria-hidden="true">({seconds} s ago)</span>. Changes appear as soon as the controller is back. Traffic
        between VMs does not depend on it.
      </p>
      <button type="button" class="small" onClick={() => stream.retryNow()}>
        Try now
      </button>
    </div>
  );
}

function Caller() {
  const who = identity.value;
  if (!who) return null;
  const scope = who.networks === null ? "" : ` · ${who.networks.join(", ")}`;
  if (who.role === "anyone") {
    return (
      <p class="caller caller-open">
        <span>
          No authentication <span class="unbroken">(--insecure)</span>
        </span>
      </p>
    );
  }
  return (
    <div class="caller">
      <p title={who.name}>
        <strong>{who.role}</strong>
        <span>{scope}</span>
      </p>
      <button type="button" class="small quiet" onClick={() => logOut()}>
        Log out
      </button>
    </div>
  );
}

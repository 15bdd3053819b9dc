// The shell: navigation, the state of the connection, the logged-in identity; and the current page.
import { useLayoutEffect, useRef } from "preact/hooks";
import { stream } from "./live/stream.ts";
import { ConditionsPage } from "./pages/conditions.tsx";
import { EventsPage } from "./pages/events.tsx";
import { HelpPage } from "./pages/help.tsx";
import { HostPage } from "./pages/host.tsx";
import { HostsPage } from "./pages/hosts.tsx";
import { LoginPage } from "./pages/login.tsx";
import { MapPage } from "./pages/map.tsx";
import { NetworkPage } from "./pages/network.tsx";
import { NetworksPage } from "./pages/networks.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { VmPage } from "./pages/vm.tsx";
import { VmsPage } from "./pages/vms.tsx";
import { Shell } from "./parts/shell.tsx";
import { Empty, PageHead } from "./parts/states.tsx";
import { href, place } from "./router.ts";
import { session } from "./session.ts";

export function App() {
  const { kind } = session.value;
  if (kind === "starting") return <p class="starting">Connecting to the controller…</p>;
  if (kind === "out") return <LoginPage because={session.value.because} />;
  return (
    <Shell>
      <Page key={stream.restarts.value} />
    </Shell>
  );
}

function Page() {
  const { path } = place.value;
  const [section = "", name] = path;
  const isFirst = useRef(true);
  // In the layout effect: later it could take the focus from a field that the user is typing in.
  useLayoutEffect(() => {
    const heading = document.querySelector("h1");
    document.title = heading?.textContent ? `${heading.textContent} · nearmiss` : "nearmiss";
    // On navigation, the focus moves to the new page.
    if (!isFirst.current) heading?.focus();
    isFirst.current = false;
    scrollTo(0, 0);
  }, [section, name]);
  const key = path.join("/");
  switch (section) {
    case "":
      return <OverviewPage />;
    case "conditions":
      return <ConditionsPage />;
    case "map":
      return <MapPage />;
    case "vms":
      return name === undefined ? <VmsPage /> : <VmPage key={key} name={name} />;
    case "hosts":
      return name === undefined ? <HostsPage /> : <HostPage key={key} name={name} />;
    case "networks":
      return name === undefined ? <NetworksPage /> : <NetworkPage key={key} name={name} />;
    case "help":
      return <HelpPage />;
    case "events":
      return <EventsPage />;
    default:
      return (
        <>
          <PageHead title="No such page" />
          <div class="panel">
            <Empty title="There is no page at this address">
              <a href={href([])}>Go to the overview</a>
            </Empty>
          </div>
        </>
      );
  }
}

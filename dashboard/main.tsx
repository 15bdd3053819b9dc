import { render } from "preact";
import { App } from "./app.tsx";
import { startSession } from "./session.ts";
import { startTheme } from "./theme.ts";
import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/tables.css";
import "./styles/events.css";
import "./styles/charts.css";
import "./styles/forms.css";
import "./styles/map.css";

startTheme();
void startSession();
const root = document.getElementById("app");
if (root) render(<App />, root);

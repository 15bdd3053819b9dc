// Why a controller cannot be reached, told apart by what Node and OpenSSL report, each with its fix. The fix is safe to
// follow where the guess is wrong: none turns off a check, and none sends a token without TLS unasked.
import { CliError } from "./errors.ts";
import type { Settings } from "./settings.ts";

interface Failure {
  readonly code: string;
  readonly message: string;
  /** Of a certificate for another name. */
  readonly cert?: { readonly subjectaltname?: string };
}

/** @returns what to print, with status 5 */
export async function explainFailure(error: unknown, settings: Settings, env = process.env): Promise<CliError> {
  const { controller } = settings;
  const failure = failureOf(error);
  const { what, fix } = await reasonOf(failure, settings);
  const proxy = ["https_proxy", "http_proxy", "all_proxy"].find((name) => env[name] || env[name.toUpperCase()]);
  const isLost = /^(ENOTFOUND|EAI_AGAIN|ETIMEDOUT|SILENT|EHOSTUNREACH|ENETUNREACH|ECONNREFUSED)$/.test(failure.code);
  const named = settings.controllerFrom === "default" ? "no controller was named, and this is the default" : "";
  const lines = [
    `${controller.origin} cannot be reached: ${what}`,
    fix,
    ...(isLost && proxy
      ? [`${proxy} is set, but nearmiss uses no proxy: it has to reach the controller directly.`]
      : []),
    named === ""
      ? `The address is from ${settings.controllerFrom}.`
      : `Name it with --controller or NEARMISS_CONTROLLER: ${named}.`,
  ];
  return new CliError(lines.join("\n"), 5);
}

/** Where all addresses of a name failed, Node leaves the message empty. */
function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: "", message: String(error) };
  const [first] = error instanceof AggregateError ? error.errors : [];
  const cause = first instanceof Error ? first : error;
  const code = "code" in cause ? String(cause.code) : "";
  const cert = "cert" in cause ? (cause.cert as Failure["cert"]) : undefined;
  return { code, message: cause.message || code, ...(cert ? { cert } : {}) };
}

interface Reason {
  readonly what: string;
  readonly fix: string;
}

async function reasonOf({ code, message, cert }: Failure, settings: Settings): Promise<Reason> {
  const { hostname, port, protocol } = settings.controller;
  const at = `${hostname} port ${port || (protocol === "https:" ? 443 : 80)}`;
  switch (code) {
    case "ECONNREFUSED":
      return { what: `nothing listens on ${at}`, fix: "Check that the controller runs, and its --listen." };
    case "ENOTFOUND":
      return {
        what: `no host is named ${hostname}`,
        fix: "Check the name for typing errors, and that DNS or /etc/hosts has it.",
      };
    case "EAI_AGAIN":
      return {
        what: `the name server does not answer for ${hostname}`,
        fix: "Check /etc/resolv.conf, or use the controller's address.",
      };
    case "ETIMEDOUT":
    case "SILENT":
      return {
        what: `${at} does not answer: ${message}`,
        fix: "Check the address, and firewalls between here and there.",
      };
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return { what: `there is no route to ${hostname}`, fix: "Check the address, and this machine's network." };
    case "CERT_HAS_EXPIRED":
      return {
        what: "its certificate has expired",
        fix: "Check this machine's clock. With --tls self the controller renews its certificate while it runs; a certificate of your own, of --tls-cert, has to be replaced there.",
      };
    case "CERT_NOT_YET_VALID":
      return { what: "its certificate is not valid yet", fix: "Check this machine's clock and the controller's." };
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return {
        what: `its certificate is for ${namesOf(cert?.subjectaltname)}, not for ${hostname}`,
        fix: `If it is the right controller, use one of these names, or start it with --name ${hostname} too.`,
      };
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return unknownCa(settings);
    case "EPROTO":
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
      if (protocol === "https:" && /wrong version number|packet length too long|record/i.test(message)) {
        return {
          what: "it answers without TLS",
          fix: `Nothing was sent. http://… in place of https://… reaches it, but others on the network could then read your token: better start it with --tls self.`,
        };
      }
      return { what: `TLS fails: ${message.split("\n")[0]}`, fix: "Check that it is a nearmiss controller." };
    default:
      return protocol === "http:" && (code === "ECONNRESET" || code.startsWith("HPE_"))
        ? brokenOff(settings, at)
        : { what: message, fix: "Check that a nearmiss controller runs there; its log says more." };
  }
}

function unknownCa({ ca, caFrom }: Settings): Reason {
  if (ca !== undefined && caFrom) {
    return {
      what: `its certificate is not of the CA in ${caFrom.value} (${caFrom.from})`,
      fix: "If it is the right controller, copy its CA again, from DATABASE.pki/ca.pem on its machine.",
    };
  }
  return {
    what: "its certificate is of an unknown CA",
    fix: "Name that CA with --ca or NEARMISS_CA: with --tls self it is DATABASE.pki/ca.pem on the controller's machine.",
  };
}

/** An HTTP request without an HTTP answer: a server with TLS does that. A handshake finds out, and carries no token. */
async function brokenOff({ controller }: Settings, at: string): Promise<Reason> {
  if (await servesTls(controller)) {
    return {
      what: `${at} serves HTTPS`,
      fix: `Write https://${controller.host} in place of http://${controller.host}.`,
    };
  }
  return {
    what: `${at} ended the connection without an answer`,
    fix: "Check that it is a nearmiss controller; its log says more.",
  };
}

const probeMs = 3_000;

function servesTls({ hostname, port }: URL): Promise<boolean> {
  const { connect } = process.getBuiltinModule("node:tls");
  return new Promise((resolve) => {
    // Any certificate will do: nothing is sent.
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const socket = connect({ host, port: Number(port || 80), rejectUnauthorized: false });
    const end = (isTls: boolean) => {
      socket.destroy();
      resolve(isTls);
    };
    socket.setTimeout(probeMs, () => end(false));
    socket.once("secureConnect", () => end(true));
    socket.once("error", () => end(false));
  });
}

function namesOf(list = ""): string {
  const names = list.split(", ").map((each) => each.replace(/^[^:]*:/, ""));
  const shown = names.slice(0, 5).join(", ");
  return shown === "" ? "other names" : `${shown}${names.length > 5 ? ", …" : ""}`;
}

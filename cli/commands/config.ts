// `nearmiss config`: the settings in force, and where each is from. Never the token itself.
import type { Command } from "../../common/commander.ts";
import { addConnectionOptions, type ConnectionOptions } from "../connection.ts";
import { action, addOutputOption, format, formatTable, type OutputOptions } from "../output.ts";
import { locateSettings } from "../settings.ts";

interface Shown {
  readonly setting: string;
  /** null: none. */
  readonly value: string | null;
  readonly from: string | null;
}

const help = `
A flag takes precedence over the environment, and the environment over the file. No request is sent, and no token is
printed: \`nearmiss whoami\` asks the controller what the token allows.
Exit status: 0 done, 2 the settings file cannot be read.`;

export function addConfigCommand(program: Command): void {
  addOutputOption(addConnectionOptions(program.command("config")))
    .summary("show the settings in force, and where each is from")
    .description("Shows which controller, token and CA commands use here, and which flag, variable or file says so.")
    .addHelpText("after", help)
    .action(
      action(async ({ output, ...options }: ConnectionOptions & OutputOptions) => {
        const { controller, token, tokenFile, ca, config } = await locateSettings(options);
        const rows: readonly Shown[] = [
          { setting: "controller", ...controller },
          tokenFile
            ? { setting: "token", value: `in ${tokenFile.value}`, from: tokenFile.from }
            : { setting: "token", value: token ? "(not shown)" : null, from: token?.from ?? null },
          { setting: "ca", value: ca?.value ?? null, from: ca?.from ?? null },
          {
            setting: "config",
            value: config.exists ? config.value : `${config.value} (does not exist)`,
            from: config.from,
          },
        ];
        const cells = rows.map(({ setting, value, from }) => [setting, value ?? "none", from ?? "-"]);
        return format(output, rows, () => formatTable(["SETTING", "VALUE", "FROM"], cells));
      }),
    );
}

// Moves by nearmiss: a request to the controller, three agents, and as many made-up ones beside as one likes.
import { run } from "../../lab/command.ts";
import { createLab, type Lab } from "../../lab/lab.ts";
import { waitFor } from "../../lab/wait.ts";
import { endpoint } from "../addresses.ts";
import { Crowd } from "../fleet/crowd.ts";
import { tunnel } from "../modes/devices.ts";
import { nearmissMode } from "../modes/nearmiss.ts";
import type { Progress } from "../progress.ts";
import { become, bootQuietGuest } from "../quiet-guest.ts";
import { EntryWatch } from "./entry-watch.ts";
import type { Mover } from "./mover.ts";

const [vm, partner] = [endpoint(0, 4), endpoint(1, 4)];

export class NearmissMover implements Mover {
  private at = "a";

  private constructor(
    private readonly lab: Lab,
    private readonly watch: EntryWatch,
    private readonly crowd: Crowd,
  ) {}

  /** @param agents made-up ones, connected to the same controller */
  static async start(agents: number, progress: Progress): Promise<NearmissMover> {
    const lab = await createLab({ hosts: 3, underlay: 4 });
    let crowd: Crowd | undefined;
    try {
      const mode = nearmissMode({ name: "nearmiss", announce: true });
      await mode.prepare(lab);
      const { controllerUrl: url, controllerNamespace } = lab;
      const { namespace } = controllerNamespace;
      crowd = new Crowd({ url, namespace, ca: "", identities: [], hosts: agents, vms: 0, held: 0 });
      await crowd.allInSync(progress);
      const third = lab.host("c");
      const places = [
        { host: lab.host("a"), endpoint: vm },
        { host: third, endpoint: partner },
      ];
      await mode.place(lab, places, []);
      const guest = await bootQuietGuest(third);
      await become(guest, partner);
      // No guest answers, but the host gets the entries.
      const hasEntry = async () =>
        (await run(["bridge", "-n", third.namespace, "fdb", "show", "dev", tunnel])).includes(vm.mac);
      const asking = guest.ping(vm.ip, { count: 3, deadlineS: 5 });
      await waitFor(hasEntry, { what: "the third host to know the VM" });
      await asking;
      return new NearmissMover(lab, new EntryWatch(third.namespace), crowd);
    } catch (error) {
      await crowd?.end();
      await lab.remove();
      throw error;
    }
  }

  async move(): Promise<number> {
    const to = this.at === "a" ? "b" : "a";
    const seen = this.watch.next(vm.mac, this.lab.host(to).address);
    const startMs = performance.now();
    const reply = await this.lab.api("POST", `/v1/vms/${vm.name}/move`, { host: to });
    if (reply.status !== 200) throw new Error(`the move: ${reply.status} ${JSON.stringify(reply.body)}`);
    this.at = to;
    return (await seen) - startMs;
  }

  async remove(): Promise<void> {
    this.watch.close();
    await this.crowd.end();
    await this.lab.remove();
  }
}

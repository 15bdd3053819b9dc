// A host that cannot reach the controller, and can reach every other host: tunnels share the underlay with the agents.
import { underlayDevice } from "../lab/underlay.ts";
import type { Scene } from "./scene.ts";

/**
 * Packets between the host's agent and the controller are dropped silently, in both directions. @returns a function that heals
 * it
 */
export async function cutOff(scene: Scene, hostName: string): Promise<() => Promise<void>> {
  const host = scene.host(hostName);
  const { controllerNamespace, controllerAddress } = scene.lab;
  const nowhere = (address: string) =>
    `neigh replace ${address} lladdr 02:00:00:00:00:99 dev ${underlayDevice} nud permanent`;
  const known = (address: string) => `neigh del ${address} dev ${underlayDevice}`;
  await Promise.all([host.ip(nowhere(controllerAddress)), controllerNamespace.ip(nowhere(host.address))]);
  return async () => {
    await Promise.all([host.ip(known(controllerAddress)), controllerNamespace.ip(known(host.address))]);
  };
}

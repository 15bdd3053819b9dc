// What the pages mean, where more is written, and what programs use.
import type { ComponentChildren } from "preact";
import { PageHead, Panel } from "../parts/states.tsx";
import { Status } from "../parts/status.tsx";
import { href } from "../router.ts";
import { identity } from "../session.ts";

export function HelpPage() {
  return (
    <>
      <PageHead title="Help" />
      <div class="failure warn">
        <div>
          <p>
            <strong>This is the inventory of the network.</strong> Creating or deleting a VM or host here makes, starts
            and stops none: it says which addresses are where, so that hosts forward to them.
          </p>
        </div>
      </div>
      <Panel title="Words">
        <dl class="words">
          <Word name="Network">A segment of its own: a VNI, subnets and an MTU.</Word>
          <Word name="Host">A machine that runs an agent. Its VTEP is the address of its tunnel end.</Word>
          <Word name="VM">What has addresses in networks on a host: a virtual machine or a container.</Word>
          <Word name="Revision">A position in the log of changes. A change is one revision.</Word>
          <Word name="Applied">The host's kernel has every change up to this revision that concerns it.</Word>
          <Word name="Holder">A host that knows addresses of a VM, and is sent their changes.</Word>
          <Word name="Condition">
            What is wrong at present with a host, network or VM: true as long as it is so.{" "}
            <a href={href(["conditions"])}>All of them</a>
          </Word>
          <Word name="Agent">
            <Status tone="good">connected</Status> <Status tone="bad">disconnected</Status>: traffic between VMs goes on
            without the agent; only changes do not arrive.
          </Word>
        </dl>
      </Panel>
      <Panel title="Keys">
        <p>
          Tab moves between fields and buttons, Enter sends a form, Escape closes it and asks first where something is
          entered. On the map, arrow keys move between hosts.
        </p>
      </Panel>
      <Panel title="For programs">
        <ul class="more">
          <li>
            <a href="/docs">REST API</a>, to be read and tried; <a href="/openapi.json">OpenAPI</a> and{" "}
            <a href="/asyncapi.json">AsyncAPI</a> for generators
          </li>
          <li>
            <code>nearmiss --help</code> on the command line: <code>nearmiss status</code> shows this page's overview,{" "}
            <code>nearmiss explain web-1 db-1</code> on a host why one VM does not reach another
          </li>
          <li>
            The pages in <code>docs/</code> of the installation, beginning with <code>README.md</code>
          </li>
        </ul>
      </Panel>
      <p class="help">Controller nearmiss {identity.value?.version}</p>
    </>
  );
}

function Word({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

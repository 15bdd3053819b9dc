// What `GET /v1/resolve` is measured beside: Fastify as its documents say, with a schema of query and answer, which looks nothing up.
//   node stock-server.js <port>
import Fastify from "fastify";
import { ResolveView } from "../../../schema/rest/index.ts";
import { Type } from "../../../schema/typebox.ts";

const querystring = Type.Object({ vni: Type.Integer(), ip: Type.String() });
const answer = {
  vni: 1000,
  ip: "10.0.0.1",
  mac: "52:54:00:00:00:00",
  vtep: "192.168.0.1",
  port: 4789,
  host: "host-0",
  vm: "vm-0",
  revision: 1,
};

const app = Fastify();
app.get("/v1/resolve", { schema: { querystring, response: { 200: ResolveView } } }, async () => answer);
await app.listen({ port: Number(process.argv[2]), host: "127.0.0.1" });

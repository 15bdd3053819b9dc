// What `register` is measured beside: Fastify as its documents say, with the same body and schema, which stores nothing.
//   node stock-server.js <port>
import Fastify from "fastify";
import { VmInput } from "../../../schema/rest/index.ts";

const app = Fastify();
app.post("/v1/vms", { schema: { body: VmInput } }, async (request, reply) => {
  reply.code(201);
  return request.body;
});
await app.listen({ port: Number(process.argv[2]), host: "127.0.0.1" });

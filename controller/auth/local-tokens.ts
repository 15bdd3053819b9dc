// Creates tokens directly in the database, whether or not a controller runs: replaces a lost admin token.
import { userInfo } from "node:os";
import type { Actor, TokenInput, TokenView } from "../../schema/rest/index.ts";
import { openAccess } from "../store/sqlite/access.ts";
import { makeToken, refuseUnlessRemoved, viewOf } from "./tokens.ts";

export interface LocalTokens {
  create(input: TokenInput): Promise<TokenView>;
  list(): Promise<TokenView[]>;
  revoke(id: string, force: boolean): Promise<void>;
  close(): void;
}

/** @throws StoreOpenError with what to do about it */
export function openLocalTokens(db: string): LocalTokens {
  const { access, close } = openAccess(db);
  const by: Actor = { name: `user ${userInfo().username}`, role: "admin", scope: "all" };
  return {
    create: async (input) => {
      const { token, secret } = makeToken(input, by, new Date());
      await access.addToken(token, by);
      return { ...viewOf(token), token: secret };
    },
    list: async () => (await access.listTokens()).map(viewOf),
    revoke: async (id, force) => {
      refuseUnlessRemoved(id, await access.removeToken(id, by, new Date().toISOString(), !force));
    },
    close,
  };
}

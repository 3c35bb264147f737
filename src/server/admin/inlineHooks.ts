/** /admin/v1/inline-hooks: what Okta has no word for: what is done when an inline hook gives no answer. */
import { z } from "zod";
import { getInlineHook, type InlineHook, listInlineHooks, setHookFailure } from "../../directory/inlineHooks.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, must } from "../errors.ts";

const params = z.object({ hook_id: z.string().min(1).max(100) });
const change = z.strictObject({
  on_failure: z
    .enum(["continue", "refuse"])
    .describe(
      "continue: as if the hook had nothing to say; refuse: the row of an import, which the next one asks about again",
    ),
});
const one = "/admin/v1/inline-hooks/:hook_id";

/** Registers the routes. */
export function adminInlineHookRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/inline-hooks",
    about("hooks", "Inline hooks, and what is done without their answer"),
    async () => (await listInlineHooks(api.db)).map(hookView),
  );
  server.get(one, about("hooks", "An inline hook", { params }), async (request) => {
    const { hook_id } = request.params;
    return hookView(found(await getInlineHook(api.db, hook_id), hook_id, "InlineHook"));
  });
  server.patch(
    one,
    about("hooks", "Say what is done without a hook's answer", { params, body: change }),
    async (request) =>
      hookView(must(await setHookFailure(commandOf(api, request), request.params.hook_id, request.body.on_failure))),
  );
}

const hookView = ({ id, type, name, status, on_failure }: InlineHook) => ({ id, type, name, status, on_failure });

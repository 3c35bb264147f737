/** /api/v1/inlineHooks: outside systems that are asked while something is done (okta-api 4.8). */
import { z } from "zod";
import {
  changeInlineHook,
  createInlineHook,
  deleteInlineHook,
  getInlineHook,
  type InlineHook,
  listInlineHooks,
  switchInlineHook,
} from "../../directory/inlineHooks.ts";
import { addressProblem, executeHook } from "../../engine/callHook.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { hook_change, hook_input, hook_type, hookBody, hookInput, merged, new_hook } from "./hookBody.ts";

const params = z.object({ hook_id: z.string().min(1).max(100) });
const one = "/api/v1/inlineHooks/:hook_id";

/** Registers the routes. */
export function inlineHookRoutes(server: Server, api: Api): void {
  const querystring = z.object({ type: hook_type.optional() });
  server.get("/api/v1/inlineHooks", about("hooks", "Inline hooks", { querystring }), async (request) =>
    (await listInlineHooks(api.db, request.query.type)).map((hook) => hookBody(hook, request.base_url)),
  );
  server.post(
    "/api/v1/inlineHooks",
    about("hooks", "Make an inline hook, switched on", { body: new_hook }),
    async (request) => {
      const input = { ...judged(api, request.body), type: request.body.type };
      return hookBody(must(await createInlineHook(commandOf(api, request), api.tools.key, input)), request.base_url);
    },
  );
  server.get(one, about("hooks", "An inline hook", { params }), async (request) =>
    hookBody(await oneHook(api, request.params.hook_id), request.base_url),
  );
  server.put(one, about("hooks", "Replace an inline hook", { params, body: hook_input }), async (request) => {
    const hook = await oneHook(api, request.params.hook_id);
    const input = judged(api, request.body, hook);
    return hookBody(
      must(await changeInlineHook(commandOf(api, request), api.tools.key, hook.id, input)),
      request.base_url,
    );
  });
  server.post(one, about("hooks", "Change parts of an inline hook", { params, body: hook_change }), async (request) => {
    const hook = await oneHook(api, request.params.hook_id);
    const parsed = hook_input.safeParse(merged(hook, request.body));
    if (!parsed.success) {
      throw invalid("inlineHook", ...parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`));
    }
    const input = judged(api, parsed.data, hook);
    return hookBody(
      must(await changeInlineHook(commandOf(api, request), api.tools.key, hook.id, input)),
      request.base_url,
    );
  });
  server.delete(
    one,
    about("hooks", "Delete an inline hook that is switched off", { params }),
    async (request, reply) => {
      must(await deleteInlineHook(commandOf(api, request), request.params.hook_id));
      return reply.code(204).send();
    },
  );
  for (const [verb, status] of [
    ["activate", "ACTIVE"],
    ["deactivate", "INACTIVE"],
  ] as const) {
    const summary = status === "ACTIVE" ? "Switch an inline hook on" : "Switch an inline hook off";
    server.post(`${one}/lifecycle/${verb}`, about("hooks", summary, { params }), async (request) => {
      const hook = must(await switchInlineHook(commandOf(api, request), request.params.hook_id, status));
      return hookBody(hook, request.base_url);
    });
  }
  const payload = z.record(z.string().max(200), z.json());
  server.post(
    `${one}/execute`,
    about("hooks", "Call an inline hook with a payload, to try it", { params, body: payload }),
    async (request) => {
      const hook = await oneHook(api, request.params.hook_id);
      if (hook.status !== "ACTIVE") throw invalid("inlineHook", `${hook.name} is switched off: activate it first`);
      return must(await executeHook(api.world, commandOf(api, request), hook, request.body), "inlineHook");
    },
  );
}

async function oneHook(api: Api, id: string): Promise<InlineHook> {
  return found(await getInlineHook(api.db, id), id, "InlineHook");
}

/** What was sent, with addresses that may be called. @throws ApiError naming what is wrong. */
function judged(api: Api, body: z.infer<typeof hook_input>, hook?: InlineHook) {
  const input = hookInput(body);
  const { uri, oauth } = input.channel;
  const causes = [
    ["channel.config.uri", uri],
    ...(oauth === null ? [] : [["channel.config.tokenUrl", oauth.token_url]]),
  ].flatMap(([name = "", url = ""]) => {
    const problem = addressProblem(api.world, url);
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
  if (hook !== undefined && body.type !== undefined && body.type !== hook.type) {
    causes.push(`type: is ${hook.type} and stays; make another hook for another type`);
  }
  if (causes.length > 0) throw invalid("inlineHook", ...causes);
  return input;
}

/**
 * The password import hook: a person who was brought over without their password signs in for the first time, and the
 * system that they come from is asked whether it is right.
 *
 * Laws: one call of 3 seconds, without a second try, because somebody waits; before the sign-in's transaction; whatever is
 * no clear yes is a no. Only what was typed goes out, to the one hook that is switched on, and into no log.
 *
 * Called by the server, which hands it to directory/signIn.ts.
 */
import { hookEvent, password_hook, saysVerified } from "../core/inlineHook.ts";
import { log } from "../directory/command.ts";
import { activeHook } from "../directory/inlineHooks.ts";
import { asThemselves } from "../directory/signIn.ts";
import type { StoredUser } from "../directory/userQueries.ts";
import { hookCalled, openHook } from "./callHook.ts";
import type { World } from "./world.ts";

/** Where the sign-in came from, as the hook is told. */
export type SignInRequest = Readonly<{ base_url: string; request_id: string; ip: string }>;

/** Is this the person's password, as the system that they come from says? */
export async function askPasswordHook(
  world: World,
  user: StoredUser,
  clear: string,
  { base_url, request_id, ip }: SignInRequest,
): Promise<boolean> {
  const hook = await activeHook(world.db, password_hook);
  if (hook === undefined) return false;
  const opened = await openHook(world, hook);
  const event = hookEvent({
    source: `${base_url}/api/v1/inlineHooks/${hook.id}`,
    event_id: request_id,
    at: world.now(),
    type: hook.type,
    data: {
      context: {
        request: { id: request_id, method: "POST", url: { value: "/api/v1/authn" }, ipAddress: ip },
        credential: { username: String(user.profile["login"] ?? user.login), password: clear },
      },
      action: { credential: "UNVERIFIED" },
    },
  });
  const outcome =
    "refused" in opened ? opened : await opened.ok.ask(event, { again: false }).finally(() => opened.ok.close());
  await log(asThemselves(world, user), { ...hookCalled(hook, outcome), user_id: user.id });
  // An answer with an error has no commands.
  return "ok" in outcome && saysVerified(outcome.ok.answer.commands);
}

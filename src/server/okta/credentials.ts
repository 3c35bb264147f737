/** /api/v1/users/{id}/credentials/*: passwords and recovery questions, changed by the person who knows the old ones. */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { verifyPassword } from "../../directory/password.ts";
import { passwordPolicy, refuseReused } from "../../directory/passwordRules.ts";
import { answersRecovery, changeRecovery } from "../../directory/recovery.ts";
import { transitionUser } from "../../directory/userLifecycle.ts";
import type { StoredUser } from "../../directory/userQueries.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, must } from "../errors.ts";
import { credentialsBody } from "./userBody.ts";
import { recovery_input } from "./userInput.ts";
import { resetLink } from "./userLifecycle.ts";
import { oneUser, user_params } from "./users.ts";

const secret = z.object({ value: z.string().min(1).max(1024) });

function refusedCredentials(cause: string): ApiError {
  return new ApiError(403, "E0000014", "Update of credentials failed", [cause]);
}

async function requirePassword(user: StoredUser, clear: string): Promise<void> {
  const { password_hash } = user.credentials;
  if (password_hash !== undefined && (await verifyPassword(clear, password_hash))) return;
  throw refusedCredentials("Old Password is not correct");
}

/** A password that the policy refuses is Okta's E0000014. */
async function setPassword(api: Api, request: FastifyRequest, user: StoredUser, password: string) {
  const options = { password, key: api.tools.key };
  const outcome = await transitionUser(commandOf(api, request), user.id, { kind: "set_password" }, options);
  if (isRefusal(outcome) && outcome.place === "password") throw refusedCredentials(outcome.refused);
  return credentialsBody(must(outcome).user.credentials);
}

/** Registers the routes. */
export function credentialRoutes(server: Server, api: Api): void {
  const passwords = z.object({ oldPassword: secret, newPassword: secret });
  const strict = z.object({ strict: z.enum(["true", "false"]).optional() });
  server.post(
    "/api/v1/users/:user_id/credentials/change_password",
    about("credentials", "Change a password, knowing the old one", {
      params: user_params,
      querystring: strict,
      body: passwords,
    }),
    async (request) => {
      const user = await oneUser(api, request.params.user_id);
      await requirePassword(user, request.body.oldPassword.value);
      const password = request.body.newPassword.value;
      if (request.query.strict === "true") {
        const reused = await refuseReused(api.db, user, password, await passwordPolicy(api.db));
        if (reused) throw refusedCredentials(reused.refused);
      }
      return setPassword(api, request, user, password);
    },
  );

  const question = z.object({ password: secret, recovery_question: recovery_input });
  server.post(
    "/api/v1/users/:user_id/credentials/change_recovery_question",
    about("credentials", "Change the recovery question, knowing the password", { params: user_params, body: question }),
    async (request) => {
      const user = await oneUser(api, request.params.user_id);
      await requirePassword(user, request.body.password.value);
      const changed = must(await changeRecovery(commandOf(api, request), user.id, request.body.recovery_question));
      return credentialsBody(changed.credentials);
    },
  );

  const query = z.object({ sendEmail: z.enum(["true", "false"]).default("true") });
  server.post(
    "/api/v1/users/:user_id/credentials/forgot_password",
    about("credentials", "Start a password reset for a person who forgot it", {
      params: user_params,
      querystring: query,
    }),
    async (request) => {
      const { id } = await oneUser(api, request.params.user_id);
      const result = must(await transitionUser(commandOf(api, request), id, { kind: "reset_password" }));
      return resetLink(result, request.query, request.base_url);
    },
  );

  const answer = z.object({ password: secret, recovery_question: z.object({ answer: z.string().min(1).max(100) }) });
  server.post(
    "/api/v1/users/:user_id/credentials/forgot_password_recovery_question",
    about("credentials", "Replace a forgotten password, knowing the recovery answer", {
      params: user_params,
      body: answer,
    }),
    async (request) => {
      const user = await oneUser(api, request.params.user_id);
      if (!(await answersRecovery(user, request.body.recovery_question.answer))) {
        throw refusedCredentials("The credentials provided were incorrect.");
      }
      return setPassword(api, request, user, request.body.password.value);
    },
  );
}

/**
 * /api/v1/users/{id}/lifecycle/*: one call per event of the state machine (core/lifecycle.ts), which decides; here is
 * only which event, and what Okta answers.
 */
import { z } from "zod";
import { removeFactors } from "../../directory/factors.ts";
import {
  type TransitionOptions,
  type TransitionResult,
  transitionUser,
  type UserEvent,
} from "../../directory/userLifecycle.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, must } from "../errors.ts";
import { userBody } from "./userBody.ts";
import { oneUser, user_params } from "./users.ts";

const query = z.object({
  sendEmail: z.enum(["true", "false"]).optional(),
  tempPassword: z.enum(["true", "false"]).optional(),
  revokeSessions: z.string().optional(),
});

type Query = z.infer<typeof query>;
type Answer = (result: TransitionResult, query: Query, base: string) => unknown;

const nothing: Answer = () => ({});

/** The link goes out in the answer when no mail was asked for; null when the person has a password and needs none. */
const activation: Answer = ({ token }, { sendEmail }, base) =>
  sendEmail === "false"
    ? { activationUrl: token === undefined ? null : `${base}/welcome/${token}`, activationToken: token ?? null }
    : {};

export const resetLink: Answer = ({ token }, { sendEmail }, base) =>
  sendEmail === "false" ? { resetPasswordUrl: `${base}/signin/reset-password/${token ?? ""}` } : {};

type Plain = Exclude<UserEvent["kind"], "source_inactive" | "source_active">;

const calls: readonly Readonly<{ path: string; kind: Plain; summary: string; answer: Answer }>[] = [
  { path: "activate", kind: "activate", summary: "Activate a person", answer: activation },
  {
    path: "reactivate",
    kind: "reactivate",
    summary: "Send a pending activation again",
    answer: (r, q, b) => activation(r, { ...q, sendEmail: q.sendEmail ?? "false" }, b),
  },
  {
    path: "deactivate",
    kind: "deactivate",
    summary: "Deactivate a person: their accounts go at once",
    answer: nothing,
  },
  { path: "suspend", kind: "suspend", summary: "Suspend a person", answer: nothing },
  { path: "unsuspend", kind: "unsuspend", summary: "Lift a suspension", answer: nothing },
  { path: "unlock", kind: "unlock", summary: "Unlock a locked out person", answer: nothing },
  { path: "reset_password", kind: "reset_password", summary: "Start a password reset", answer: resetLink },
];

/** Registers the routes. */
export function userLifecycleRoutes(server: Server, api: Api): void {
  for (const { path, kind, summary, answer } of calls) {
    const helped = kind === "unlock" || kind === "reset_password";
    server.post(
      `/api/v1/users/:user_id/lifecycle/${path}`,
      about(helped ? "credentials" : "users", summary, { params: user_params, querystring: query }),
      async (request) => {
        if (kind === "reset_password" && request.query.sendEmail === undefined) {
          throw new ApiError(400, "E0000028", "The request is missing a required parameter.", [
            "sendEmail: true or false",
          ]);
        }
        const { id } = await oneUser(api, request.params.user_id);
        const result = must(await transitionUser(commandOf(api, request), id, { kind } as UserEvent));
        return answer(result, request.query, request.base_url);
      },
    );
  }
  expiry(server, api);
}

/** Expiring answers with the person, or with a password that serves once. */
function expiry(server: Server, api: Api): void {
  const route = about("credentials", "Expire a password", { params: user_params, querystring: query });
  for (const [path, always] of [
    ["expire_password", false],
    ["expire_password_with_temp_password", true],
  ] as const) {
    server.post(`/api/v1/users/:user_id/lifecycle/${path}`, route, async (request) => {
      const { id } = await oneUser(api, request.params.user_id);
      const temporary = always || request.query.tempPassword === "true" ? api.world.password().reveal() : undefined;
      const options: TransitionOptions = temporary === undefined ? {} : { password: temporary, key: api.tools.key };
      const { user } = must(await transitionUser(commandOf(api, request), id, { kind: "expire_password" }, options));
      return temporary === undefined ? userBody(user, request.base_url) : { tempPassword: temporary };
    });
  }
  server.post(
    "/api/v1/users/:user_id/lifecycle/reset_factors",
    about("credentials", "Remove a person's factors", { params: user_params }),
    async (request) => {
      const { id } = await oneUser(api, request.params.user_id);
      must(await removeFactors(commandOf(api, request), id, "all"));
      return {};
    },
  );
}

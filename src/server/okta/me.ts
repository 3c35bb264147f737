/**
 * Who a token speaks for, as `/users/me`: its person, or, for a token that belongs to nobody, the token itself in the
 * form of a user, because Okta's clients ask for it before they do anything else.
 */
import type { FastifyRequest } from "fastify";
import { getUser } from "../../directory/userQueries.ts";
import type { Api } from "../api.ts";
import { date, user_schema_id, user_type_id } from "./links.ts";
import { userBody } from "./userBody.ts";

/** The body of `GET /api/v1/users/me`. */
export async function ownerBody(api: Api, request: FastifyRequest) {
  const { bearer, base_url } = request;
  const user = bearer?.user_id ? await getUser(api.db, bearer.user_id) : undefined;
  if (user !== undefined) return userBody(user, base_url);
  const now = date(api.world.now());
  return {
    id: bearer?.token_id ?? "",
    status: "ACTIVE",
    created: now,
    activated: now,
    statusChanged: now,
    lastLogin: null,
    lastUpdated: now,
    passwordChanged: null,
    type: { id: user_type_id },
    profile: {
      firstName: "API",
      lastName: bearer?.name ?? "token",
      mobilePhone: null,
      secondEmail: null,
      login: bearer?.token_id ?? "",
      email: null,
    },
    credentials: { provider: { type: "OKTA", name: "OKTA" } },
    _links: {
      self: { href: `${base_url}/api/v1/users/${bearer?.token_id ?? ""}` },
      schema: { href: `${base_url}/api/v1/meta/schemas/user/${user_schema_id}` },
      type: { href: `${base_url}/api/v1/meta/types/user/${user_type_id}` },
    },
  };
}

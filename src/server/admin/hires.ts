/**
 * People who are hired by hand, and the days they come and go. A moment says its zone itself; a day is the person's own,
 * where they are: a first day begins, and a last day ends, at their midnight.
 */
import { z } from "zod";
import { dayBegins, dayEnds } from "../../core/days.ts";
import { changesAhead } from "../../directory/changesAhead.ts";
import { companyZone } from "../../directory/organisation.ts";
import { readSetting } from "../../directory/settings.ts";
import type { StoredUser } from "../../directory/userQueries.ts";
import { createUsers, type NewUser, updateUsers } from "../../directory/users.ts";
import { previewNewUser } from "../../engine/preview.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { reach } from "../auth.ts";
import { must } from "../errors.ts";
import { profile_input, profileOf, typeOf, user_type } from "../okta/userInput.ts";
import { oneUser, user_params } from "../okta/users.ts";
import { given, moment } from "./shared.ts";

const when = z.union([moment, z.iso.date()]);
const days = {
  starts_at: when.nullish().describe("The first day, or the moment it begins"),
  ends_at: when.nullish().describe("The last day, or the moment it is over"),
  time_zone: z.string().max(100).nullish().describe("Such as Europe/Rome; else a day is one of the company's zone"),
};

/** Registers the routes. */
export function hireRoutes(server: Server, api: Api): void {
  const hire = z.object({
    profile: profile_input,
    group_ids: z.array(z.string().max(100)).max(100).default([]),
    activate: z.boolean().default(true).describe("Once their first day has come; else they stay staged"),
    type: user_type,
    ...days,
    dry_run: z.boolean().default(false).describe("Only tell what they would get, and make nobody"),
  });
  server.post(
    "/admin/v1/hires",
    about("users", "Make a person, with their days; or tell what they would get", { body: hire }, { within: true }),
    async (request) => {
      const { profile, group_ids, activate, type, dry_run } = request.body;
      await reach(api, request, { group: group_ids }, "members");
      const dates = await datesOf(api, request.body, null);
      const input: NewUser = {
        ...{ profile: profileOf(profile), activate, group_ids },
        ...dates,
        ...given("type_id", typeOf(type)),
      };
      const command = commandOf(api, request);
      if (!dry_run) {
        const [user] = must(await createUsers(command, [input], { key: api.tools.key }), "newUser");
        return body(user as StoredUser);
      }
      const { login, groups, steps } = must(await previewNewUser(api.world, command, input), "newUser");
      const { starts_at = null, ends_at = null, time_zone = null } = dates;
      return { login, starts_at, ends_at, time_zone, preview: { groups, steps } };
    },
  );
  dateRoutes(server, api);
}

function dateRoutes(server: Server, api: Api): void {
  const url = "/admin/v1/users/:user_id/dates";
  server.get(url, about("users", "When a person comes and goes", { params: user_params }), async (request) =>
    withAhead(api, await oneUser(api, request.params.user_id)),
  );
  server.patch(
    url,
    about("users", "Say when a person comes and goes", { params: user_params, body: z.object(days) }),
    async (request) => {
      const user = await oneUser(api, request.params.user_id);
      const change = { id: user.id, ...(await datesOf(api, request.body, user.time_zone)) };
      const [changed] = must(await updateUsers(commandOf(api, request), [change]));
      return withAhead(api, changed?.user ?? user);
    },
  );
}

/** The days, and what a source has told ahead. */
const withAhead = async (api: Api, user: StoredUser) => ({ ...body(user), ahead: await changesAhead(api.db, user) });

const body = ({ id, login, status, starts_at, ends_at, time_zone, hold }: StoredUser) => ({
  ...{ id, login, status, starts_at, ends_at, time_zone },
  hold: hold && { reason: hold.reason, until: hold.until, by: hold.by },
});

type Days = Readonly<{
  starts_at?: Date | string | null | undefined;
  ends_at?: Date | string | null | undefined;
  time_zone?: string | null | undefined;
}>;

/** The days as instants, in the zone that is told with them, or theirs, or the company's. */
async function datesOf(api: Api, { starts_at, ends_at, time_zone }: Days, theirs: string | null) {
  const zone = time_zone ?? (time_zone === null ? null : theirs) ?? companyZone(await readSetting(api.db, "org"));
  const first = typeof starts_at === "string" ? dayBegins(starts_at, zone) : starts_at;
  const last = typeof ends_at === "string" ? dayEnds(ends_at, zone) : ends_at;
  return { ...given("starts_at", first), ...given("ends_at", last), ...given("time_zone", time_zone) };
}

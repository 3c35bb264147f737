/**
 * What an administrator enters to connect a SCIM app: the form, its rules, and the secret beside it. The console builds
 * its form from this schema (`z.toJSONSchema`), so titles and descriptions are written for people.
 */
import { z } from "zod";
import type { Secret } from "../connector.ts";
import { oauth_form } from "../oauth.ts";
import type { ProfileOverrides } from "./profile.ts";
import { profile_ids } from "./profiles/index.ts";

export const scim_config = z.strictObject({
  base_url: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .meta({
      title: "Base URL",
      description: "The address that /Users follows, such as https://app.example.com/scim/v2",
    }),
  profile: z
    .enum(profile_ids)
    .default("strict")
    .meta({ title: "App", description: "Which vendor's SCIM this is; strict if yours is not in the list" }),
  auth: z
    .enum(["bearer", "basic", "header", "oauth"])
    .optional()
    .meta({ title: "Sign-in", description: "How the token is sent, if not the way that is usual for the app" }),
  username: z.string().min(1).max(500).optional().meta({ title: "User name", description: "For basic sign-in" }),
  oauth: oauth_form
    .optional()
    .meta({ title: "OAuth", description: "For sign-in by client credentials; the client secret is the token" }),
  header: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,100}$/)
    .optional()
    .meta({ title: "Header", description: "For sign-in by a header of the app's own, such as X-Api-Key" }),
  concurrency: z
    .int()
    .min(1)
    .max(128)
    .optional()
    .meta({ title: "Calls at a time", description: "At most this many requests are under way at once" }),
  user_agent: z
    .string()
    .regex(/^[\x20-\x7e]{1,200}$/)
    .optional()
    .meta({ title: "User-Agent", description: "Some apps accept only the names they know" }),
  overrides: z.record(z.string(), z.json()).optional().meta({
    title: "Profile settings",
    description: "Differences from the vendor's profile, in the profile's own shape",
  }),
});

export type ScimConfig = z.input<typeof scim_config> & Readonly<{ overrides?: ProfileOverrides | undefined }>;

/** `token`: the bearer token, the basic password, the header's value, or the client secret. */
export type ScimCredentials = Readonly<{ token: Secret }>;

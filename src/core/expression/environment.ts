/**
 * What an expression may name, and where it will run: the schemas around it and its context. The checker reads
 * nothing else, so the same text is right in a mapping and wrong in a rule, and a deleted attribute is found by
 * checking again. Callers build one per schema version and reuse it for every expression.
 */
import type { Attribute } from "../types.ts";

/**
 * - `mapping`: any value, from the user, their accounts, groups and people around them.
 * - `rule`, `filter`: true or false about a user; accounts in apps are not read, so that a rule never waits for an app.
 * - `push_rule`: true or false about a group (`group.name`, `group.description`, …).
 */
export type Context = "mapping" | "rule" | "push_rule" | "filter";

/** The attributes of one profile; a `Schema`'s `attributes` fit as they are. */
export type Shape = readonly Readonly<Pick<Attribute, "name" | "type" | "array">>[];

export type Environment = Readonly<{
  context: Context;
  /** `user.x`; also the people around the user. */
  user?: Shape;
  /** `appuser.x`: the account in the app at hand. */
  appuser?: Shape;
  /** `source.x`: the profile a mapping starts from (Okta's older name for it). */
  source?: Shape;
  /** `app.x`: properties of the app at hand. */
  app?: Shape;
  /** `org.x` */
  org?: Shape;
  /** `group.x` in a push rule, beside `group.id` and `group.type`. */
  group?: Shape;
  /** `<appname>.x`: the user's account in another app, by the app's name. */
  accounts?: Readonly<Record<string, Shape>>;
  /** `<appname>_app.x`: properties of another app. */
  apps?: Readonly<Record<string, Shape>>;
  /** Names that `user.getLinkedObject("…")` knows. */
  links?: readonly string[];
}>;

/** How each context is called in messages. */
export const context_names: Readonly<Record<Context, string>> = {
  mapping: "a mapping",
  rule: "a group rule",
  push_rule: "a push rule",
  filter: "a user filter",
};

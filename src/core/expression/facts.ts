/**
 * What an expression is evaluated against: one person (or one group, in a push rule) as plain data, with the clock as a
 * value. What is costly to load (other accounts, people around the user) is a function, called only by expressions
 * that read it; `dependencies` tells beforehand which. The engine builds one of these per person and evaluates any
 * number of expressions against it.
 */
import type { GroupType, Profile, UserStatus } from "../types.ts";

/** A group the user is in, as group functions see it. */
export type GroupFact = Readonly<{
  id: string;
  name: string;
  type: GroupType;
  /** The app an APP_GROUP was imported from, and that app's name. */
  source_id: string | null;
  source_name?: string | null;
  profile?: Profile;
}>;

/** A manager, assistant or linked person. */
export type PersonFact = Readonly<{
  id: string;
  profile: Profile;
  /** This person's account in an app, by the app's name. */
  account?(app: string): Profile | null;
}>;

export type Facts = Readonly<{
  /** The user's profile. */
  user: Profile;
  user_id: string;
  user_status: UserStatus;
  groups: readonly GroupFact[];
  appuser?: Profile | null;
  source?: Profile | null;
  app?: Profile | null;
  org?: Profile | null;
  /** The group a push rule judges: its profile; `group.id` and `group.type` beside it. */
  group?: Readonly<{ id: string; type: GroupType; profile: Profile }> | null;
  /** The user's account in the app of that name; null: none. */
  account?(app: string): Profile | null;
  /** The user's accounts in all apps of a kind, for `hasDirectoryUser()` and its like. */
  accounts_of?(kind: DirectoryKind): readonly Profile[];
  /** Properties of another app, by its name. */
  app_named?(app: string): Profile | null;
  manager?(source: string): PersonFact | null;
  assistant?(source: string): PersonFact | null;
  linked?(name: string): PersonFact | null;
  now: Date;
  /** IANA zone that says which day it is: the user's, else the company's. */
  time_zone: string;
}>;

/** The kinds of app that have functions of their own. */
export type DirectoryKind = "active_directory" | "workday";

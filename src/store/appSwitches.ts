/** What columns of `apps` hold: how an app's accounts are kept, and the rules of a source. Judged by directory/provisioning.ts. */

import type { MatchOn, PartialMatch } from "../core/match.ts";

/** How an app's accounts are kept. Each switch is one of Okta's, or better (okta-lifecycle 3.2). */
export type Provisioning = Readonly<{
  create: boolean;
  update: boolean;
  /** What losing the assignment does to the account. `keep`: Okta's "Deactivate Users" off; the account is an orphan. */
  on_unassign: "disable" | "delete" | "keep";
  /** `keep` is Okta's behaviour: a suspended person keeps working accounts. */
  on_suspend: "disable" | "keep";
  /**
   * Accounts are switched on and off; absent: they are. `false`: only values are written, to a system that says itself who
   * works there, such as the source they come from.
   */
  state?: boolean;
  password: "none" | "random" | "sync";
  /** Which attribute identifies a person's account when it is looked for. */
  match_attribute: string;
  concurrency: number;
  /** Calls a second; null: no limit of ours. */
  rate_per_s: number | null;
  reconcile_hours: number;
}>;

/**
 * How a source's days are read (core/jobs.ts, docs/dates.md). Attributes are the source's; null: none tells. What an
 * older row lacks is as in `dateDefaults` of directory/provisioning.ts.
 */
export type DateSwitches = Readonly<{
  /** The hour of the person's clock at which a first day begins, and a last day ends (24: midnight). */
  start_hour: number;
  end_hour: number;
  /** Accounts are made, switched off, so many days before the first day; 0: on it. */
  hire_lead_days: number;
  change_lead_days: number;
  leave_lead_days: number;
  /** The last working day: access ends with it, though the employment goes on. */
  last_day_attribute: string | null;
  /** Holds true for whoever is to be cut off at once, whatever their last day. */
  urgent_attribute: string | null;
  /** Several rows of one id are one person's jobs, each with days of its own; else the second one is refused. */
  several_rows: boolean;
  primary_attribute: string | null;
  absence_start_attribute: string | null;
  absence_end_attribute: string | null;
  on_absence: "keep" | "suspend";
  /** Holds the id that a record was merged into: a task, and nothing is done by itself. */
  merged_attribute: string | null;
  /** List attribute of users → attribute of the source: what it says in all jobs in force, not in the one that counts alone. */
  every_job: Readonly<Record<string, string>>;
  /** Whoever has one of the values there must have a last day, such as contractors; compared without case. */
  end_required_attribute: string | null;
  end_required_values: readonly string[];
  /** So many days before such an end somebody is to renew it or let it come; 0: nobody is told. */
  end_warning_days: number;
}>;

/** A source's rules (okta-lifecycle 4.2); null on an app that is no source. */
export type Sourcing = Readonly<{
  /** As people gave it; `combinationsOf` of core/match.ts reads it. */
  match_on: MatchOn;
  /** People of alike names are looked for where nobody matches; null or absent: they are not. */
  match_partial?: PartialMatch | null;
  auto_confirm: boolean;
  /** Whom nobody matches is created without asking; absent: yes. */
  auto_confirm_new?: boolean;
  /** Whoever is only alike is linked without asking; absent: no. */
  auto_confirm_partial?: boolean;
  auto_activate: boolean;
  /** What happens to a user whom the source calls inactive or no longer lists. */
  on_inactive: "none" | "deactivate" | "suspend";
  reactivate_suspended: boolean;
  reactivate_deactivated: boolean;
  guard_percent: number;
  guard_people: number;
  /** Attributes of the source that hold the first day, the last day and the time zone of a person; null: none does. */
  start_attribute: string | null;
  end_attribute: string | null;
  time_zone_attribute: string | null;
  /** Names the type of a new person, by name or id; null or absent: everybody is made of the default one. */
  type_attribute?: string | null;
  /** When the source is read by itself, as cron has it; null or absent: when somebody asks. */
  schedule?: string | null;
  /** When it is asked only for what changed, besides; null or absent: never by itself. */
  incremental_schedule?: string | null;
  /** On which clock; null or absent: the company's. */
  schedule_zone?: string | null;
  /** Where the id of a person is in what the source sends as a notification (core/notice.ts); null or absent: `/ids`, `/id`. */
  notify_id?: string | null;
  /** The inline hook that is asked about strangers; null or absent: none is. */
  import_hook?: string | null;
  /** The list attribute of users in which a login that the source replaces is kept; null or absent: it is given up. */
  alias_attribute?: string | null;
}> &
  Partial<DateSwitches>;

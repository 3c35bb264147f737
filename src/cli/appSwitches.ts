/**
 * The switches of an app as the command line names and lists them: those of its accounts by their name alone, those of a
 * source with `source.` before them (the API's field is `sourcing`), those of its configuration with `config.`.
 */
import { CliError } from "./errors.ts";
import { didYouMean } from "./parts.ts";

type Group = Readonly<{ title: string; prefix: string; switches: Readonly<Record<string, string>> }>;

/** Every switch, in the groups that the help shows; what docs/dates.md says at length is short here. */
export const switch_groups: readonly Group[] = [
  {
    title: "How accounts are kept",
    prefix: "",
    switches: {
      create: "true: accounts are made",
      update: "true: they follow the person",
      on_unassign: "disable, delete or keep, when the app is taken away",
      on_suspend: "disable or keep, when the person is suspended",
      state: "false: only values are written (docs/write-back.md)",
      password: "none, random or sync",
      match_attribute: "The attribute by which an account is found",
      concurrency: "So many calls at once",
      rate_per_s: "So many calls a second; empty: no limit",
      reconcile_hours: "The whole app is compared so often",
    },
  },
  {
    title: "A source: who its rows are",
    prefix: "source.",
    switches: {
      match_on: 'Attributes of users: ["login"], or several ways [["login"],["email"]]',
      match_partial: 'People of alike names, as an object: {"at_least":75}; empty: not',
      auto_confirm: "false: who matches somebody waits for a person",
      auto_confirm_new: "false: who is new waits for a person",
      auto_confirm_partial: "true: who is only alike does not wait",
      auto_activate: "true: who is made is activated",
      import_hook: "The id of an inline hook; empty: none",
      alias_attribute: "List attribute of users for logins that it replaces",
      type_attribute: "Its attribute with the type of a new person; empty: the default",
    },
  },
  {
    title: "A source: when it is read",
    prefix: "source.",
    switches: {
      schedule: "By the clock, as cron has it: '30 5 * * 1-5'; empty: when asked",
      incremental_schedule: "The same, but only for changes: '*/15 * * * *'",
      schedule_zone: "On which clock, such as Europe/Rome; empty: the company's",
      notify_id: "Where a notification has the id: /worker/id, /events/*/id; empty: /ids",
    },
  },
  {
    title: "A source: who leaves, and the guard",
    prefix: "source.",
    switches: {
      on_inactive: "none, deactivate or suspend",
      reactivate_suspended: "true: who is active there again is here, too",
      reactivate_deactivated: "true: the same for who was deactivated",
      guard_percent: "An import that cuts off more of the people is held",
      guard_people: "Up to so many people nothing is held",
    },
  },
  {
    title: "A source: days (docs/dates.md)",
    prefix: "source.",
    switches: {
      start_attribute: "Its attribute with the first day",
      end_attribute: "With the last day",
      time_zone_attribute: "With the person's time zone",
      last_day_attribute: "With the last working day",
      urgent_attribute: "True for whoever is cut off at once",
      start_hour: "The hour at which a first day begins",
      end_hour: "The hour at which a last day ends (24: midnight)",
      hire_lead_days: "Accounts are made so many days ahead",
      change_lead_days: "Changes are made so many days ahead",
      leave_lead_days: "Leaves are done so many days ahead",
      end_required_attribute: "Tells who must have a last day",
      end_required_values: 'By which values, as a list: ["contractor"]',
      end_warning_days: "So many days before such an end it is a task",
    },
  },
  {
    title: "A source: several jobs, absence, merges (docs/dates.md)",
    prefix: "source.",
    switches: {
      several_rows: "true: several rows of one id are one person's jobs",
      primary_attribute: "Its attribute that tells which job counts",
      every_job: 'What all jobs say, as an object: {"departments":"department"}',
      absence_start_attribute: "With the first day of an absence",
      absence_end_attribute: "With the last day of an absence",
      on_absence: "keep or suspend",
      merged_attribute: "With the id that a record was merged into",
    },
  },
];

const names = switch_groups.flatMap(({ prefix, switches }) => Object.keys(switches).map((name) => `${prefix}${name}`));

/** The list of all switches, for the help. */
export const switch_list: string = [
  ...switch_groups.map(({ title, prefix, switches }) => {
    const lines = Object.entries(switches).map(([name, help]) => `  ${`${prefix}${name}`.padEnd(31)} ${help}`);
    return [`${title}:`, ...lines].join("\n");
  }),
  `Its configuration:\n  ${"config.NAME".padEnd(31)} As in tenure apps show, such as config.enabled_column`,
].join("\n\n");

/** An error of the server in the words of the command line, with the switch that may have been meant. */
export function inSwitchWords(error: unknown): unknown {
  return reworded(error, (message) => {
    const renamed = message.replaceAll(/(^|\s)(?:(sourcing)|provisioning)\.(?=[a-z_]+)/g, (_, before, source) =>
      source === undefined ? before : `${before}source.`,
    );
    return renamed.replace(/^(\S+): there is no such switch$/m, (line, name) => `${line}${didYouMean(name, names)}`);
  });
}

/** Options of `tenure apps add` by the name of the value in the connector's form that they give. */
const options_of_form: Readonly<Record<string, string>> = {
  base_url: "--base-url",
  profile: "--profile",
  file: "--file",
  id_column: "--id-column",
  enabled_column: "--enabled-column",
  enabled_values: "--enabled-value",
  strict: "--strict",
};

/** An error about a connector's form as who gave it by options knows them. */
export function inOptionWords(error: unknown): unknown {
  return reworded(error, (message) =>
    message.replaceAll(
      /(^|\s)config\.(\w+)(?=[:.\s])/g,
      (_, before, name) =>
        `${before}${Object.hasOwn(options_of_form, name) ? options_of_form[name] : `--config ${name}`}`,
    ),
  );
}

function reworded(error: unknown, words: (message: string) => string): unknown {
  if (!(error instanceof CliError)) return error;
  return new CliError(error.exit_code, words(error.message), error.status, error.code);
}

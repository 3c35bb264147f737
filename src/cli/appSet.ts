/** tenure apps set: changes switches of an app and prints which, from what to what. */
import { inSwitchWords, switch_list } from "./appSwitches.ts";
import { CliError, exit_codes } from "./errors.ts";
import { type App, findApp } from "./find.ts";
import { plain, print, printJson, table } from "./output.ts";
import { type Part, pairsOf } from "./parts.ts";

/** A switch by its name on the command line, as it was and as it is. */
type Changed = Readonly<{ name: string; was: unknown; is: unknown }>;

/** Changes switches. */
export const set: Part = {
  usage: {
    name: "apps set",
    words: "APP SWITCH=VALUE...",
    summary: `Changes switches of an app, of a source and of its configuration. Nothing after = clears one; a list or an object
is JSON.

${switch_list}`,
    options: {
      source: { help: "Make the app a source, with the usual switches and those that are given" },
      "no-source": { help: "The app is a source no more; its switches are forgotten" },
    },
  },
  least: 1,
  most: 100,
  run: async (client, given, [app = "", ...pairs]) => {
    const all = Object.entries(pairsOf(pairs));
    const part = (prefix: string) =>
      all.filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), value]);
    const [sourcing, config] = [part("source."), part("config.")];
    const provisioning = all.filter(([name]) => !/^(source|config)\./.test(name));
    const before = await findApp(client, app);
    const ends = given.flag("no-source");
    if (all.length === 0 && !ends && !given.flag("source"))
      throw new CliError(exit_codes.usage, "tenure apps set: which switch?");
    if (ends && (sourcing.length > 0 || given.flag("source")))
      throw new CliError(exit_codes.usage, "--no-source takes no switch of a source");
    if (sourcing.length > 0 && before.sourcing === null && !given.flag("source")) {
      const message = `${plain(before.label)} is no source, so it has no source.NAME: say --source to make it one`;
      throw new CliError(exit_codes.usage, message);
    }
    const source = ends ? null : sourcing.length > 0 || given.flag("source") ? Object.fromEntries(sourcing) : undefined;
    const body = {
      ...(provisioning.length > 0 ? { provisioning: Object.fromEntries(provisioning) } : {}),
      ...(source === undefined ? {} : { sourcing: source }),
      ...(config.length > 0 ? { config: Object.fromEntries(config) } : {}),
    };
    const after = await client.send<App>("PATCH", `/admin/v1/apps/${before.id}`, body).catch((error: unknown) => {
      throw inSwitchWords(error);
    });
    if (given.flag("json")) return printJson(after);
    const changed = changesOf(before, after, new Set(all.map(([name]) => name)));
    print(`${plain(after.label)} (${after.id})`);
    print(
      table(changed, [
        ["SWITCH", (c) => c.name],
        ["WAS", (c) => shown(c.was, c.name)],
        ["IS", (c) => shown(c.is, c.name)],
      ]),
    );
  },
};

/** What was asked for, and what else is different now. */
function changesOf(before: App, after: App, asked: ReadonlySet<string>): readonly Changed[] {
  const [was, is] = [switchesOf(before), switchesOf(after)];
  const names = new Set([...asked, ...was.keys(), ...is.keys()]);
  return [...names]
    .map((name): Changed => ({ name, was: was.get(name), is: is.get(name) }))
    .filter((one) => asked.has(one.name) || JSON.stringify(one.was) !== JSON.stringify(one.is));
}

const switchesOf = ({ provisioning, sourcing, config }: App): ReadonlyMap<string, unknown> =>
  new Map([
    ...Object.entries(provisioning),
    ...Object.entries(sourcing ?? {}).map(([name, value]) => [`source.${name}`, value] as const),
    ...Object.entries(config).map(([name, value]) => [`config.${name}`, value] as const),
  ]);

/** Credentials of a configuration are never told. */
function shown(value: unknown, name: string): string {
  if (value === undefined) return name.startsWith("config.") ? "not shown, or none" : "none";
  return value === null ? "none" : plain(value);
}

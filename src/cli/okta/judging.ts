/**
 * Are the lines of mappings understood here? Asked before anything is sent, so that the plan can tell (see planApp.ts).
 *
 * Law: a line that would be taken is never turned down: what other apps are called here is only known once they are made, so
 * expressions may name every app of both sides, and the server has the last word.
 */
import { checkExpression, type Environment, type Shape } from "../../core/expression/expression.ts";
import { namesElsewhere, shapeOf, shapeOfPeople } from "./given.ts";
import { type App, fold, type Organisation } from "./organisation.ts";

/** Why an expression cannot be used, if it cannot. */
export type LineJudge = (app: App, direction: "to_app" | "to_user", expression: string) => string | undefined;

/** What the server tells of every app and of itself (directory/mappings.ts). */
const texts = (names: readonly string[]): Shape => names.map((name) => ({ name, type: "string", array: false }));
const app_properties = texts(["id", "name", "label"]);
const org_properties = texts(["name", "subdomain", "time_zone"]);

/** A name that was made here for an app, which documents leave out. */
const made_name = /\btenure_[a-z0-9]+_[0-9]+/;

/** A judge of the lines that are to be carried over. @param groups keys of the groups that there will be */
export function judgeOfLines(theirs: Organisation, ours: Organisation, groups: ReadonlySet<string>): LineJudge {
  const user = [...shapeOfPeople(theirs), ...shapeOfPeople(ours)];
  const apps = [...theirs.apps, ...ours.apps];
  const here = new Map(ours.apps.map((app) => [fold(app.label), app]));
  // Apps of one template share its name.
  const accounts = Object.fromEntries(
    [...Map.groupBy(apps, ({ name }) => name ?? "")].map(([name, some]) => [
      name,
      some.flatMap(({ attributes }) => shapeOf(attributes)),
    ]),
  );
  const environment: Environment = {
    ...{ context: "mapping", user, accounts, app: app_properties, org: org_properties },
    links: [...theirs.link_kinds, ...ours.link_kinds].map(({ primary }) => primary.name),
    apps: Object.fromEntries(Object.keys(accounts).map((name) => [name, app_properties])),
  };
  return (app, direction, expression) => {
    const own = shapeOf({ ...here.get(fold(app.label))?.attributes, ...app.attributes });
    const elsewhere = namesElsewhere(expression, groups);
    if (elsewhere !== undefined) return elsewhere;
    if (made_name.test(expression)) return undefined;
    const source = direction === "to_app" ? user : own;
    const judged = checkExpression(expression, { ...environment, appuser: own, source });
    if (!("problems" in judged)) return undefined;
    const [first] = judged.problems;
    return `cannot be used here: ${first?.message ?? ""}${first?.hint ? ` ${first.hint}` : ""}`;
  };
}

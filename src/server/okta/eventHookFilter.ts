/**
 * The filters of event hooks in Okta's expression language, read as filters of ours (core/filter.ts). What Okta allows in
 * them is little: equality and its opposite over eight properties of an event, and over the targets:
 *
 *   event.outcome.result eq 'SUCCESS' && event.target.?[type eq 'UserGroup' && displayName eq 'Sales'].size() > 0
 *
 * Law: an expression means here what it means there, or is refused; none is kept that could not be evaluated.
 */
import { dialects, type Filter, parseFilter } from "../../core/filter.ts";
import { checkFilter, matches, type Property, valueAt } from "../../core/filterMatch.ts";
import type { Refusal, Value } from "../../core/types.ts";
import { isRefusal } from "../../store/database.ts";

export const expression_max = 2_000;

/** What an expression may look at, by its name without `event.`; where that is in an event's body. */
const properties: Readonly<Record<string, readonly string[] | "complex">> = {
  eventType: ["eventType"],
  "outcome.reason": ["outcome", "reason"],
  "outcome.result": ["outcome", "result"],
  "actor.id": ["actor", "id"],
  "actor.type": ["actor", "type"],
  "actor.alternateId": ["actor", "alternateId"],
  "actor.displayName": ["actor", "displayName"],
  "debugData.changedAttributes": ["debugContext", "debugData", "changedAttributes"],
  target: "complex",
  "target.id": ["target", "id"],
  "target.type": ["target", "type"],
  "target.alternateId": ["target", "alternateId"],
  "target.displayName": ["target", "displayName"],
};

const text_property: Property = { type: "text" };

/** Reads an expression, or says what is wrong with it. */
export function readHookFilter(expression: string): Filter | Refusal {
  const refuse = (why: string): Refusal => ({ refused: why, code: "invalid", place: "expression" });
  const text = translated(expression);
  if (isRefusal(text)) return text;
  const parsed = parseFilter(text, dialects.okta_event_hook);
  if (isRefusal(parsed)) return refuse(`"${expression.slice(0, 200)}" cannot be evaluated: ${parsed.refused}`);
  const checked = checkFilter(parsed.ok, ({ text: name }) => {
    const found = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return found === undefined || found === "complex" ? found : text_property;
  });
  if (!isRefusal(checked)) return checked.ok;
  const known = Object.keys(properties)
    .filter((name) => !name.startsWith("target"))
    .map((name) => `event.${name}`);
  const hint = `an expression may look at ${known.join(", ")}, and at id, type, alternateId and displayName in event.target.?[…].size() > 0`;
  return refuse(`"${expression.slice(0, 200)}" cannot be evaluated: ${checked.refused}; ${hint}`);
}

/** Does an event, as its body is, fulfil the filter? */
export function fulfilsHookFilter(filter: Filter, body: Value): boolean {
  return matches(filter, ({ text }) => {
    const path = Object.hasOwn(properties, text) ? properties[text] : undefined;
    if (path === undefined) return undefined;
    return { value: valueAt(body, path === "complex" ? [text] : path, "exact") };
  });
}

const pieces =
  /(?<space>\s+)|(?<text>'(?:[^']|'')*'|"(?:[^"\\]|\\.)*")|(?<open>event\.target\.\?\[)|(?<close>\]\s*\.size\(\)\s*(?:>|gt|!=|ne)\s*0(?!\d))|(?<none>\]\s*\.size\(\)\s*(?:==|eq)\s*0(?!\d))|(?<and>&&)|(?<or>\|\|)|(?<eq>==)|(?<ne>!=)|(?<not>!)|(?<name>(?:event\.)?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(?<bracket>[()])/y;

/** The expression in the words of our filters; refuses what has no word there. */
function translated(expression: string): string | Refusal {
  const out: string[] = [];
  let opened: number | undefined;
  pieces.lastIndex = 0;
  while (pieces.lastIndex < expression.length) {
    const at = pieces.lastIndex;
    const groups = pieces.exec(expression)?.groups;
    const [kind, piece = ""] = Object.entries(groups ?? {}).find(([, value]) => value !== undefined) ?? [];
    const wrong = kind === undefined || (opened === undefined ? kind === "close" || kind === "none" : kind === "open");
    if (wrong) {
      const refused = `the expression cannot be evaluated from "${expression.slice(at, at + 40)}" on: use eq, ne, &&, ||, !( ) and event.target.?[…].size() > 0`;
      return { refused, code: "invalid", place: "expression" };
    }
    if (kind === "open") opened = out.length;
    if (kind === "none") out.splice(opened ?? 0, 0, "not (");
    if (kind === "close" || kind === "none") opened = undefined;
    out.push(words[kind] ?? wordOf(kind, piece));
  }
  return out.join("");
}

const words: Readonly<Record<string, string>> = {
  space: " ",
  open: "target[",
  close: "]",
  none: "])",
  and: " and ",
  or: " or ",
  eq: " eq ",
  ne: " ne ",
  not: "not ",
};

function wordOf(kind: string, piece: string): string {
  if (kind === "text" && piece.startsWith("'")) return JSON.stringify(piece.slice(1, -1).replaceAll("''", "'"));
  return kind === "name" ? piece.replace(/^event\./, "") : piece;
}

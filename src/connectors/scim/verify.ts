/**
 * Did a write do what its 2xx says? Real apps answer 200 and ignore attributes, operations or whole members, so what
 * they hold afterwards is compared with what was sent. Three outcomes: it is there; the app wrote it in its own way
 * (another spelling, another format), which the caller gets to see; or it contradicts what was sent, which is a fault.
 *
 * Pure. Called by connector.ts.
 */

import { canonical } from "../../core/scim/resource.ts";
import type { Attribute, Profile, Value } from "../../core/types.ts";
import { ConnectorFault, type RemoteAccount } from "../connector.ts";
import type { PlacedSchema } from "./schema.ts";

export type Contradiction = Readonly<{ attribute: string; sent: Value; found: Value }>;

/** What was sent, and what is known to have been there before; `was` undefined: nothing is known. */
export type Sent = Readonly<{ set: Profile; enabled?: boolean | undefined; was?: RemoteAccount | undefined }>;

/** A value as one comparable text: no case where the app minds none, lists without order. */
function comparable(attribute: Attribute, value: Value | undefined): string {
  const plain = canonical(attribute, value) ?? null;
  const one = (item: Value): string => {
    const text = typeof item === "string" ? item.normalize("NFC") : JSON.stringify(sortedKeys(item));
    return attribute.case_exact ? text : text.toLowerCase();
  };
  return Array.isArray(plain) ? JSON.stringify(plain.map(one).sort()) : one(plain);
}

function sortedKeys(value: Value): Value {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as Readonly<Record<string, Value>>);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, sortedKeys(one)]));
}

/** Same letters and digits: "+1 (555) 01" and "+155501" are one number to an app that formats. */
function looselySame(a: Value | undefined, b: Value | undefined): boolean {
  if (typeof a !== "string" || typeof b !== "string") return false;
  const bare = (text: string) =>
    text
      .normalize("NFKC")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]/gu, "");
  return bare(a) === bare(b) && bare(a) !== "";
}

function contradicts(attribute: Attribute, sent: Value, found: Value | undefined, was: Value | undefined | "unknown") {
  const wanted = comparable(attribute, sent);
  const holds = comparable(attribute, found);
  if (wanted === holds || looselySame(sent, found)) return false;
  // It changed, though not into what was sent: the app's own way of writing it, unless nothing was left of it.
  const changed = was !== "unknown" && comparable(attribute, was) !== holds;
  return !(changed && found !== undefined && sent !== null);
}

/** Every attribute whose value in the app denies that the write happened. */
export function contradictions(sent: Sent, found: RemoteAccount, schema: PlacedSchema): readonly Contradiction[] {
  const all: Contradiction[] = [];
  if (sent.enabled !== undefined && sent.enabled !== found.enabled) {
    all.push({ attribute: "enabled", sent: sent.enabled, found: found.enabled });
  }
  for (const name of Object.keys(sent.set)) {
    const value = sent.set[name] ?? null;
    // Nearly always it is there as it was sent.
    if (value === found.profile[name]) continue;
    const attribute = schema.get(name)?.attribute;
    if (attribute === undefined || !attribute.readable) continue;
    const was = sent.was === undefined ? "unknown" : sent.was.profile[name];
    const held = found.profile[name];
    if (contradicts(attribute, value, held, was)) all.push({ attribute: name, sent: value, found: held ?? null });
  }
  return all;
}

function shown(value: Value): string {
  if (value === null) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

/** Throws `invalid`, which parks the account with a task, if the app does not hold what it said it took. */
export function believe(request: string, sent: Sent, found: RemoteAccount, schema: PlacedSchema): void {
  const [first, ...others] = contradictions(sent, found, schema);
  if (first === undefined) return;
  const sensitive = schema.get(first.attribute)?.attribute.sensitive === true;
  const values = sensitive ? "" : `: sent ${shown(first.sent)}, found ${shown(first.found)}`;
  const more = others.length === 0 ? "" : ` (and ${others.map((one) => one.attribute).join(", ")})`;
  const hint = "take the attribute out of the mapping, or correct the app's SCIM profile";
  throw new ConnectorFault(
    "invalid",
    `${request} was answered as done, but the app did not keep ${first.attribute}${more}${values}; ${hint}`,
    { attribute: first.attribute },
  );
}

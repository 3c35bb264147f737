/**
 * Asking only for what changed: how a moment is written in a request, and which moment to ask from the next time. That is
 * when the list began by the server's own clock, so that ours need not be right, less an overlap, because what is
 * committed late has an earlier time than when it can be seen. Pure. Called by connector.ts and paging.ts.
 */
import { parseInstant } from "../../core/instant.ts";
import { ConnectorFault } from "../connector.ts";
import type { RestForm } from "./config.ts";

/** How a moment is written: with its time, as a day, in seconds or milliseconds since 1970, or as OData 2 has it. */
export const since_formats = ["iso", "date", "epoch", "epoch_ms", "odata2"] as const;

type Changes = NonNullable<RestForm["changes"]>;

const token_form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/** A token as the moment it stands for. @throws ConnectorFault `invalid` for any other text. */
export function momentOf(since: string): Date {
  const at = token_form.test(since) ? parseInstant(since) : undefined;
  if (at !== undefined) return new Date(at);
  throw new ConnectorFault("invalid", "What is kept of the last list is not of this connector; import everything once");
}

/** The query of a list that asks for what changed since a moment. */
export function changedSince(
  query: Readonly<Record<string, string>>,
  { parameter, format, value }: Changes,
  since: string,
): Record<string, string> {
  const asked = value.replace("{since}", () => written(momentOf(since), format));
  const before = Object.hasOwn(query, parameter) ? query[parameter] : undefined;
  return { ...query, [parameter]: before === undefined ? asked : `(${before}) and ${asked}` };
}

function written(at: Date, format: (typeof since_formats)[number]): string {
  const iso = tokenOf(at);
  if (format === "iso") return iso;
  if (format === "date") return iso.slice(0, 10);
  if (format === "odata2") return `datetimeoffset'${iso}'`;
  return `${format === "epoch" ? Math.floor(at.getTime() / 1_000) : at.getTime()}`;
}

/** Whole seconds: more than a server's Date tells is not known. */
const tokenOf = (at: Date) => `${at.toISOString().slice(0, 19)}Z`;

const ahead_max_ms = 86_400_000;

/**
 * The token for the next list. `date`: the answer's own, of the first page. A clock that is more than a day ahead of ours
 * is not believed: all that changes until then would never be asked for.
 */
export function sinceOf(date: string | undefined, now: Date, { overlap_seconds }: Changes): string {
  const told = date === undefined ? Number.NaN : Date.parse(date);
  const began = Number.isNaN(told) || told > now.getTime() + ahead_max_ms ? now.getTime() : told;
  const earliest = Date.UTC(1970, 0, 1);
  return tokenOf(new Date(Math.max(earliest, began - overlap_seconds * 1_000)));
}

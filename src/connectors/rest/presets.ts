/**
 * What is usual for a kind of system, and the whole settings of a source: what its form says, then what its preset has,
 * then what is usual for any. Pure. Called by connector.ts.
 */
import type { RestForm } from "./config.ts";

/** Places of which the first that is there counts. */
export type Places = readonly string[];

type Paging = NonNullable<RestForm["paging"]>;
/** How pages follow each other, with every place as a list. */
export type RestPaging = Exclude<Paging, Readonly<{ kind: "url" }>> | Readonly<{ kind: "url"; next: Places }>;

type Filled = "query" | "auth" | "records" | "paging" | "days";

/** The form with nothing left out that has a usual value. */
export type RestSettings = Omit<RestForm, Filled | "preset"> &
  Readonly<{
    query: Readonly<Record<string, string>>;
    auth: NonNullable<RestForm["auth"]>;
    records: Places;
    paging: RestPaging;
    days: ReadonlySet<string>;
  }>;

const presets: Readonly<Record<NonNullable<RestForm["preset"]>, Partial<RestForm>>> = {
  // A report that the customer has put together: all in one answer, columns named by the customer.
  report: { auth: "basic", query: { format: "json" }, records: "/Report_Entry", paging: { kind: "none" } },
  // OData 2 and 4 name the same things differently; the server pages, and says where the next page is.
  odata: {
    query: { $format: "json" },
    records: ["/d/results", "/value", "/d"],
    paging: { kind: "url", next: ["/d/__next", "/@odata.nextLink"] },
  },
  // A system that tells by webhook who changed, and nothing else of them: everyone in a list, each at their own place.
  webhook: {},
};

/** Where days stand in OData feeds of people that are dated by their effect. */
const odata_days = new Set(["startDate", "endDate"]);

/** The settings of a form. */
export function settingsOf(form: RestForm): RestSettings {
  const { preset, ...given } = form;
  const usual = preset === undefined ? {} : presets[preset];
  const paging = given.paging ?? usual.paging ?? { kind: "none" };
  const one = given.one ?? (preset === "webhook" ? { path: `${given.path}/{id}`, record: "" } : undefined);
  return {
    ...given,
    ...(one === undefined ? {} : { one }),
    query: given.query ?? usual.query ?? {},
    // Who filled in OAuth wants it, unless they say otherwise.
    auth: given.auth ?? (given.oauth === undefined ? usual.auth : "oauth") ?? "bearer",
    records: placesOf(given.records ?? usual.records ?? ""),
    paging: paging.kind === "url" ? { ...paging, next: placesOf(paging.next) } : paging,
    days: new Set([
      ...(given.days ?? (preset === "odata" ? usualDays(given) : [])),
      // What a slice begins and ends with are days, or it would be no slice.
      ...(given.slices === undefined ? [] : [given.slices.start, given.slices.end]),
    ]),
  };
}

const placesOf = (given: string | readonly string[]): Places => (typeof given === "string" ? [given] : given);

/** The attributes at the usual places of days, by whatever name. */
function usualDays({ columns, slices }: Omit<RestForm, "preset">): readonly string[] {
  const at = { ...columns, ...slices?.columns };
  const named = Object.entries(at).flatMap(([name, place]) =>
    odata_days.has(place.slice(place.lastIndexOf("/") + 1)) ? [name] : [],
  );
  return columns === undefined ? [...odata_days, ...named] : named;
}

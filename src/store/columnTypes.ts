/** What columns hold, as Kysely reads and writes it: times, times that may be absent, and JSON. */
import type { ColumnType } from "kysely";
import type { Value } from "../core/types.ts";

export type Time = ColumnType<Date, Date | string | undefined, Date | string>;
export type MaybeTime = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
export type Json<T> = ColumnType<T, unknown, unknown>;
export type Object_ = Record<string, Value>;

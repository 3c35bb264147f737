/**
 * The one interface between the engine and every external system, in both directions: a source is a connector that
 * we `list`. Objects in, objects out, so that it can grow. Enabled state and password are fields of create and
 * update, so a plan that changes the department and disables is one call.
 *
 * Laws (connectors/contract.ts checks them against real systems):
 * - every failure is thrown as a `ConnectorFault` of one of the seven kinds, nothing else;
 * - `find` before `create` is the engine's business; `create` itself never looks;
 * - `delete` of something already gone succeeds; `read` of something gone gives null;
 * - `list` ends, whatever the app's paging does, and says `complete: false` when it cannot vouch for having seen all;
 * - no call outlives `ctx.signal`.
 */
import type { Attribute, Capabilities, FaultKind, Profile, Schema } from "../core/types.ts";

export type ExternalId = string;

/** A value that must not be printed: `reveal()` is called only where it goes out to the app. */
export type Secret = Readonly<{ reveal(): string; toJSON(): string; toString(): string }>;

/** Wraps a clear text so that logging or serialising it shows nothing. */
export function secret(text: string): Secret {
  return Object.freeze({ reveal: () => text, toJSON: () => "[secret]", toString: () => "[secret]" });
}

/** What happened in a call, for the log: one line per request, no secrets. */
export type CallLog = (line: Readonly<{ request: string; status?: number; ms: number; note?: string }>) => void;

/** What a call is given: when to give up, where to tell, and the time. */
export type Context = Readonly<{ signal: AbortSignal; log: CallLog; now(): Date }>;

/** `place`: where it stands in a file, as people count (`line 7`), for messages. */
export type RemoteAccount = Readonly<{
  id: ExternalId;
  profile: Profile;
  enabled: boolean;
  etag?: string;
  place?: string;
}>;

/** `key`: our stable id of the account, for apps with an externalId or an idempotency key. */
export type AccountWrite = Readonly<{ profile: Profile; enabled: boolean; password?: Secret; key: string }>;

/** `set`: only what changes; null or absent-after-was clears. `was`: what we believe is there, for PUT and merging. */
export type AccountChange = Readonly<{
  set: Profile;
  enabled?: boolean;
  password?: Secret;
  was?: RemoteAccount;
}>;

/**
 * `account`: what the app holds after the write, if it is known by a read-back or a trustworthy echo.
 * `pending`: the app will do it later (asynchronous), or a person must (manual): a task, not yet a fact.
 */
export type Written = Readonly<{ id: ExternalId; account?: RemoteAccount; pending?: boolean }>;

/** `pending`: as with Written, it is not gone yet; a task, not a fact. */
// biome-ignore lint/suspicious/noConfusingVoidType: nearly every connector has nothing to say of a deletion
export type Deleted = void | Readonly<{ pending: boolean }>;

/**
 * `cursor` is opaque and comes from the previous page; `since`, only where there is no cursor,
 * asks for what changed after that token; the pages that follow are of the same list. What was not changed may come, too, and
 * who is not in such a list has not left. `repeats`: several items of one id are wanted, not a mistake.
 */
export type PageRequest = Readonly<{ cursor?: string; since?: string; limit?: number; repeats?: boolean }>;

/**
 * `gone`: ids that the app says were deleted. `next`: there is more. `since`, on the last page: token for the next
 * incremental list, of a list that was asked without one, too.
 * `complete: false` on the last page: the list may lack accounts, so absence proves nothing.
 * `distinct`, on the last page: no id comes twice in all the list; the connector has seen to it.
 * `refused`: what could not be read, such as a broken row of a file. With an `id` only that account is in doubt; without
 * one it makes the list incomplete, not void.
 * `attributes`: which attributes the items of this list can have, if it says so itself, as the header of a file does.
 */
export type Page<T = RemoteAccount> = Readonly<{
  items: readonly T[];
  attributes?: readonly string[];
  gone?: readonly ExternalId[];
  next?: string;
  since?: string;
  complete?: boolean;
  distinct?: true;
  refused?: readonly Readonly<{ place: string; reason: string; id?: ExternalId }>[];
}>;

/** An attribute of the app and the values that identify one account. */
export type MatchKey = Readonly<{ attribute: string; value: string }>;

export type RemoteGroup = Readonly<{ id: ExternalId; name: string; description?: string; etag?: string }>;

/** Result of one member's change; `fault` tells why it did not go in or out. */
export type MemberResult = Readonly<{ id: ExternalId; fault?: FaultKind; detail?: string }>;

export type GroupOperations = Readonly<{
  list(ctx: Context, page: PageRequest): Promise<Page<RemoteGroup>>;
  read(ctx: Context, id: ExternalId): Promise<RemoteGroup | null>;
  find(ctx: Context, name: string): Promise<readonly RemoteGroup[]>;
  /** All member ids; null: this app never shows its members. */
  members(ctx: Context, id: ExternalId): Promise<readonly ExternalId[] | null>;
  create(ctx: Context, group: Readonly<{ name: string; description?: string; key: string }>): Promise<RemoteGroup>;
  rename(ctx: Context, id: ExternalId, to: Readonly<{ name: string; description?: string }>): Promise<void>;
  /** One request: at most `members_max` changes and `bytes_max` bytes; the engine packs. */
  change(
    ctx: Context,
    id: ExternalId,
    delta: Readonly<{ add: readonly ExternalId[]; remove: readonly ExternalId[] }>,
  ): Promise<readonly MemberResult[]>;
  delete(ctx: Context, id: ExternalId): Promise<void>;
  /** The app's limit for one `change`. */
  members_max: number;
  bytes_max: number;
  /** Bytes that one member's change costs in a request body. */
  member_bytes(id: ExternalId): number;
}>;

export type Connector = Readonly<{
  kind: string;
  can: Capabilities;
  /** `read` goes through the whole list; without it, it asks for one record. Whoever reads several had better list once. */
  lists_only?: boolean;
  /** Credentials and reach, no writes. Throws a fault that says what to mend. */
  test(ctx: Context): Promise<void>;
  schema(ctx: Context): Promise<Schema>;
  list(ctx: Context, page: PageRequest): Promise<Page>;
  /** null: the app says it is not there. */
  read(ctx: Context, id: ExternalId): Promise<RemoteAccount | null>;
  /** Look before create, and after any lost reply. */
  find(ctx: Context, key: MatchKey): Promise<readonly RemoteAccount[]>;
  create(ctx: Context, account: AccountWrite): Promise<Written>;
  update(ctx: Context, id: ExternalId, change: AccountChange): Promise<Written>;
  /** Already gone is success. */
  delete(ctx: Context, id: ExternalId): Promise<Deleted>;
  groups?: GroupOperations;
  /** So many accounts may share one call to the app, as far as is known by now; without it 1. */
  together?(): number;
  close?(): Promise<void>;
}>;

/** A failed call: the kind decides the engine's reaction, the rest tells people who, where and what to do. */
export class ConnectorFault extends Error {
  readonly kind: FaultKind;
  /** The attribute at fault, in our name, when the app says. */
  readonly attribute: string | undefined;
  /** For `rate_limited` and `denied`: not before. */
  readonly retry_at: Date | undefined;
  /** HTTP, LDAP or SQL status as the app gave it. */
  readonly status: string | undefined;

  constructor(
    kind: FaultKind,
    message: string,
    more: Readonly<{ attribute?: string; retry_at?: Date; status?: string; cause?: unknown }> = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "ConnectorFault";
    this.kind = kind;
    this.attribute = more.attribute;
    this.retry_at = more.retry_at;
    this.status = more.status;
  }
}

export type { Attribute, Capabilities, Profile, Schema };

/**
 * The ways in which a call to the fake app can go wrong, each named after what happens at a real app. A script decides
 * for every call; this file knows which fault fits which call and counts those that really fired, so that a
 * simulation can fail if a kind never did.
 *
 * Called by fake/connector.ts and fake/groups.ts.
 */
import { ConnectorFault, type Context } from "../connector.ts";

export type FakeOp =
  | "test"
  | "schema"
  | "list"
  | "read"
  | "find"
  | "create"
  | "update"
  | "delete"
  | "group_list"
  | "group_read"
  | "group_find"
  | "group_members"
  | "group_create"
  | "group_rename"
  | "group_change"
  | "group_delete";

export type FakeFaultKind =
  | "refuse_before"
  | "lose_reply_after_effect"
  | "rate_limit"
  | "slow"
  | "conflict"
  | "partial_write"
  | "stale_read"
  | "looping_page"
  | "duplicate_page"
  | "normalise"
  | "denied";

/** `after_ms`: for rate_limit, how long the app wants to be left alone. */
export type FakeFault = Readonly<{ kind: FakeFaultKind; after_ms?: number }>;

/** One call as the app saw it: `n` counts from 1 over all calls to this app. */
export type FakeCall = Readonly<{ n: number; op: FakeOp; id: string | null; at: Date; fault: FakeFaultKind | null }>;

/** Decides the fault of a call. No randomness here: a simulation draws it and passes it in. */
export type FakeScript = (call: Readonly<{ op: FakeOp; id?: string; n: number }>) => FakeFault | undefined;

const reading: readonly FakeOp[] = ["list", "read", "find", "group_list", "group_read", "group_find", "group_members"];
const writing: readonly FakeOp[] = [
  "create",
  "update",
  "delete",
  "group_create",
  "group_rename",
  "group_change",
  "group_delete",
];

/** Which calls a fault can befall; absent: any. */
const fits: Readonly<Partial<Record<FakeFaultKind, readonly FakeOp[]>>> = {
  lose_reply_after_effect: writing,
  slow: writing,
  conflict: ["create", "update", "group_create", "group_rename"],
  partial_write: ["update", "group_change"],
  stale_read: reading,
  looping_page: ["list", "group_list"],
  duplicate_page: ["list", "group_list"],
  normalise: ["create", "update"],
};

/** How a write is to be carried out: in full, in part, or with values of the app's own liking. */
export type WriteMode = Readonly<{ partial: boolean; normalise: boolean }>;

/** How a read is to be answered. */
export type ReadMode = Readonly<{ stale: boolean; looping: boolean; duplicate: boolean }>;

export type Desk = Readonly<{
  calls: FakeCall[];
  fired: Record<FakeFaultKind, number>;
  look<T>(ctx: Context, op: FakeOp, id: string | null, see: (mode: ReadMode) => T): Promise<T>;
  write<T>(ctx: Context, op: FakeOp, id: string | null, effect: (mode: WriteMode) => T): Promise<T>;
  /** Carries out the writes of slow calls, oldest first, at most `count`; gives how many took effect. */
  deliverLate(count?: number): number;
  late(): number;
}>;

const rate_pause_default_ms = 30_000;
const whole: WriteMode = { partial: false, normalise: false };

/** Faults that strike before the app looks at the request. */
function refuse(fault: FakeFault | undefined, now: Date): void {
  if (fault?.kind === "refuse_before") throw new ConnectorFault("retry", "The app answered 503", { status: "503" });
  if (fault?.kind === "denied") throw new ConnectorFault("denied", "The app answered 401", { status: "401" });
  if (fault?.kind === "conflict") throw new ConnectorFault("conflict", "The app answered 409", { status: "409" });
  if (fault?.kind === "rate_limit") {
    const retry_at = new Date(now.getTime() + (fault.after_ms ?? rate_pause_default_ms));
    throw new ConnectorFault("rate_limited", "The app answered 429", { status: "429", retry_at });
  }
}

function lost(why: string): ConnectorFault {
  return new ConnectorFault("retry", `No answer from the app: ${why}`, { status: "deadline" });
}

/** The desk where every call arrives: it numbers, journals, fails and counts them. */
export function desk(script: FakeScript | undefined, now: () => Date): Desk {
  const calls: FakeCall[] = [];
  const late: (() => unknown)[] = [];
  const fired: Record<FakeFaultKind, number> = {
    refuse_before: 0,
    lose_reply_after_effect: 0,
    rate_limit: 0,
    slow: 0,
    conflict: 0,
    partial_write: 0,
    stale_read: 0,
    looping_page: 0,
    duplicate_page: 0,
    normalise: 0,
    denied: 0,
  };

  /** Numbers the call and gives the fault that befalls it. */
  async function arrive(ctx: Context, op: FakeOp, id: string | null): Promise<FakeFault | undefined> {
    await Promise.resolve();
    if (ctx.signal.aborted) throw lost("the deadline had passed before the request was sent");
    const n = calls.length + 1;
    const drawn = script?.(id === null ? { op, n } : { op, id, n });
    const fault = drawn !== undefined && (fits[drawn.kind]?.includes(op) ?? true) ? drawn : undefined;
    calls.push({ n, op, id, at: now(), fault: fault?.kind ?? null });
    if (fault !== undefined) fired[fault.kind] += 1;
    refuse(fault, now());
    return fault;
  }

  return {
    calls,
    fired,
    async look(ctx, op, id, see) {
      const fault = await arrive(ctx, op, id);
      return see({
        stale: fault?.kind === "stale_read",
        looping: fault?.kind === "looping_page",
        duplicate: fault?.kind === "duplicate_page",
      });
    },
    async write(ctx, op, id, effect) {
      const fault = await arrive(ctx, op, id);
      if (fault?.kind === "slow") {
        late.push(() => effect(whole));
        throw lost("it takes longer than the deadline");
      }
      if (fault?.kind === "partial_write") {
        effect({ partial: true, normalise: false });
        throw lost("it failed in the middle of the write");
      }
      const result = effect({ partial: false, normalise: fault?.kind === "normalise" });
      if (fault?.kind === "lose_reply_after_effect") throw lost("the connection dropped after the write");
      return result;
    },
    deliverLate(count = late.length) {
      let done = 0;
      for (const effect of late.splice(0, count)) {
        try {
          effect();
          done += 1;
        } catch (error) {
          if (!(error instanceof ConnectorFault)) throw error; // refused late is as if it had never come
        }
      }
      return done;
    },
    late: () => late.length,
  };
}

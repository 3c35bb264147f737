/**
 * Leavers and people's own changes come before waves: while the lane of desire that answers them is at it, or behind,
 * waves begin nothing. They have a lane of their own, but on two processors a wave of 50,000 took the half that leavers
 * lacked: once of three runs, in a minute when the machine was slow, a leaver waited for 25 s; and on a good day each of
 * the dozen statements of their turn queued behind the wave's.
 *
 * Waves stand back until the apps were told, too: while a leaver's twenty calls were made they took as much from them as in
 * the turn (p95 of a leaver in a wave of 50,000: 78 ms, now 50 to 62).
 *
 * Where nobody urgent came for some seconds, waves work in larger batches: of 1,000 instead of 250 they took a tenth less
 * of both processors, and who comes then waits once for the end of one.
 *
 * Law: nobody waits for ever. Where leavers come one by one, waves have half of the time; where their lane stays behind,
 * one second of ten.
 */
import { priority } from "../directory/command.ts";

/** A turn of the urgent takes 25 to 100 ms; one that takes longer lacks processors. */
const slow_ms = 300;
const cycle_ms = 10_000;
const share_ms = 1_000;
/** A turn that found somebody is over by then, and its calls, or it is about to be behind. */
const hold_ms = 100;
/** Its calls are made by then, or an app is slow, paused, or another node's. */
const calls_ms = 50;
/** Nobody urgent for so long: none is to be expected in the next batch either. */
const quiet_ms = 5_000;

export type Precedence = Readonly<{
  /** May nothing of this urgency begin now? */
  standsBack(urgency: number): boolean;
  /** Resolves when no turn holds the waves up; at the latest when it has held them up for as long as it may. */
  released(): Promise<void>;
  /** Nobody urgent has come lately: a batch of a wave may be large. */
  quiet(): boolean;
  /** A turn of the urgent is under way. */
  during(turn: Promise<UrgentTurn>): void;
  /** The turn under way has found somebody: it holds the waves up until its end, and until its accounts' calls are made. */
  found(): void;
  /** A call of somebody urgent has ended. */
  called(): void;
}>;

/** `full`: there were as many as a turn takes, so that more may wait. `due`: accounts that are to be called now. */
export type UrgentTurn = Readonly<{ full: boolean; due: number }>;

/**
 * `now_ms`: the time. `wait`: resolves so many ms later. `caughtUp` is called when waves may go on that stood back from a
 * lane that was behind; `release` when one turn has ended that held them up.
 */
export type PrecedenceTools = Readonly<{
  now_ms(): number;
  wait(ms: number): Promise<void>;
  caughtUp(): void;
  release(): void;
}>;

/** Makes one for a node. */
export function precedence({ now_ms, wait, caughtUp, release }: PrecedenceTools): Precedence {
  let behind_since: number | undefined;
  const fallBehind = () => {
    behind_since ??= now_ms();
  };
  const catchUp = () => {
    if (behind_since === undefined) return;
    behind_since = undefined;
    caughtUp();
  };
  const isBehind = () => behind_since !== undefined && (now_ms() - behind_since) % cycle_ms < cycle_ms - share_ms;
  const hold = makeHold(now_ms, release);
  let found_at = Number.NEGATIVE_INFINITY;
  return {
    standsBack: (urgency) => urgency > priority.change && (hold.holds() || isBehind()),
    released: async () => {
      if (hold.holds()) await Promise.race([hold.ended(), wait(hold_ms)]);
    },
    found: () => {
      found_at = now_ms();
      hold.begin();
    },
    called: () => hold.called(),
    quiet: () => now_ms() - found_at >= quiet_ms,
    during: (turn) => {
      let ended = false;
      const it = hold.turn();
      void wait(slow_ms).then(() => {
        if (!ended) fallBehind();
      });
      void turn
        .catch(() => ({ full: false, due: 0 }))
        .then(({ full, due }) => {
          ended = true;
          it.isOver(due);
          void wait(calls_ms).then(() => it.isOver(0));
          if (full) fallBehind();
          else catchUp();
        });
    },
  };
}

/**
 * Holds the waves up for the rest of a turn and its calls; the next hold begins when they have gone on for as long as this
 * one took.
 */
function makeHold(now_ms: () => number, release: () => void) {
  let since: number | undefined;
  let free_until = 0;
  let over = Promise.withResolvers<void>();
  /** Turns that are under way, or whose calls are: how many they wait for. */
  const turns = new Set<{ calls: number }>();
  const held = () => Math.min(hold_ms, now_ms() - (since ?? now_ms()));
  const endWhenOver = () => {
    if (since === undefined || turns.size > 0) return;
    free_until = now_ms() + held();
    since = undefined;
    over.resolve();
    over = Promise.withResolvers();
    release();
  };
  const leave = (turn: { calls: number }, calls: number) => {
    turn.calls = calls;
    if (calls === 0) turns.delete(turn);
    endWhenOver();
  };
  return {
    holds: () => since !== undefined && held() < hold_ms,
    ended: () => over.promise,
    begin: () => {
      if (since === undefined && now_ms() >= free_until) since = now_ms();
    },
    /** A turn begins; `isOver` says that it has ended, and how many calls it leads to. */
    turn: () => {
      const one = { calls: Number.POSITIVE_INFINITY };
      turns.add(one);
      return { isOver: (calls: number) => leave(one, calls) };
    },
    called: () => {
      const one = [...turns].find(({ calls }) => calls !== Number.POSITIVE_INFINITY);
      if (one !== undefined) leave(one, one.calls - 1);
    },
  };
}

/**
 * Leavers and people's own changes come before waves: while the lane of desire that answers them is behind, waves begin
 * nothing. They have a lane of their own, but on two processors a wave of 50,000 took the half that leavers lacked: once of
 * three runs, in a minute when the machine was slow, a leaver waited for 25 s.
 *
 * Law: nobody waits for ever. Where leavers go on and on, waves have one second of ten.
 */
import { priority } from "../directory/command.ts";

/** A turn of the urgent takes 25 to 100 ms; one that takes longer lacks processors. */
const slow_ms = 300;
const cycle_ms = 10_000;
const share_ms = 1_000;

export type Precedence = Readonly<{
  /** May nothing of this urgency begin now? */
  standsBack(urgency: number): boolean;
  /** A turn of the urgent is under way; it gives whether there were as many as it takes, so that more may wait. */
  during(turn: Promise<boolean>): void;
}>;

/** `now_ms`: the time. `wait`: resolves so many ms later. `caughtUp` is called when waves may go on. */
export type PrecedenceTools = Readonly<{ now_ms(): number; wait(ms: number): Promise<void>; caughtUp(): void }>;

/** Makes one for a node. */
export function precedence({ now_ms, wait, caughtUp }: PrecedenceTools): Precedence {
  let behind_since: number | undefined;
  const fallBehind = () => {
    behind_since ??= now_ms();
  };
  const catchUp = () => {
    if (behind_since === undefined) return;
    behind_since = undefined;
    caughtUp();
  };
  return {
    standsBack: (urgency) =>
      urgency > priority.change &&
      behind_since !== undefined &&
      (now_ms() - behind_since) % cycle_ms < cycle_ms - share_ms,
    during: (turn) => {
      let ended = false;
      void wait(slow_ms).then(() => {
        if (!ended) fallBehind();
      });
      void turn
        .catch(() => false)
        .then((full) => {
          ended = true;
          if (full) fallBehind();
          else catchUp();
        });
    },
  };
}

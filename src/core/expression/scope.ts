/**
 * The running state of one evaluation: the facts, the work done so far and the first thing that went wrong. A function
 * that visits data pays for it with `charge`; one that builds text or lists asks `fits`. When either says no, the
 * function returns null at once and the evaluation as a whole gives the error: nothing is thrown.
 */
import type { Facts } from "./facts.ts";

export type Limits = Readonly<{ steps: number; length: number }>;

export type Scope = { readonly facts: Facts; readonly limits: Limits; steps: number; error: string | null };

/** One step pays for this many visited elements, characters or states: a power of two, as a shift. */
const visits_per_step_log2 = 6;

/** Pays for visiting `visits` things; false when the budget is spent. */
export function charge(scope: Scope, visits: number): boolean {
  scope.steps += 1 + (visits >> visits_per_step_log2);
  if (scope.steps <= scope.limits.steps) return true;
  scope.error ??= `The expression needs more than ${scope.limits.steps} steps for this person; simplify it.`;
  return false;
}

/** May a text or list of this length be built? */
export function fits(scope: Scope, length: number): boolean {
  if (length <= scope.limits.length) return true;
  scope.error ??= `The expression builds a value longer than ${scope.limits.length}; shorten what it joins.`;
  return false;
}

/**
 * Every limit of the expression language in one place, with the reason for its size. An expression comes from an
 * administrator or an API client and runs for every person of the company, so nothing in it may be unbounded: the
 * text, the tree, the work of one evaluation and what it may give back.
 */

/** Longest expression, in characters. Okta's own cap on a group rule is about a quarter of it. */
export const text_max = 10_000;

/** Most nodes of one tree; also the bound on recursion through left-leaning chains such as `a OR b OR c …`. */
export const nodes_max = 2_000;

/** Deepest nesting of parentheses, calls, lists and conditions. */
export const depth_max = 100;

/** Most problems reported for one expression: enough to mend it in one go, small enough to read. */
export const problems_max = 20;

/** Work of one evaluation that grows with the data: list elements visited, texts searched, regular expressions. */
export const steps_max = 10_000;

/** Longest text an evaluation may build or give, in UTF-16 units, and the most elements of a list. */
export const length_max = 10_000;

/** Most states of a regular expression after its `{m,n}` are written out. */
export const regex_states_max = 2_000;

/** Longest SQL text of one expression; beyond it the expression runs as a closure. */
export const sql_text_max = 100_000;

/** Deepest nesting of one expression in SQL: PostgreSQL refuses a query that nests beyond its stack, and all rules with it. */
export const sql_depth_max = 150;

/**
 * How many rows a list reads at once. Whoever serves pages asks for one row more than a page, to know whether there is
 * another: with a bound of a whole page that row was cut off, and the largest page looked like the last.
 */
const page_max = 1_000;
const usual = 200;

/** The rows that a list reads: as many as asked for (200 when nothing is said), and at most a page and one more. */
export const rowsOf = (limit = usual): number => Math.min(limit, page_max + 1);

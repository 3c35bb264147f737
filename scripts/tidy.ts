/** Placeholder until the rules are written in the next change. */
export {};

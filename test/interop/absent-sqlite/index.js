throw new Error("better-sqlite3 is left out of this repository on purpose: use node:sqlite or an in-memory store");

/**
 * What a test cannot do without: a program, a user. Missing, the test is skipped and says so on stderr; with TENURE_CI=1
 * (see .ci/run), where every real system is installed, it fails.
 *
 *     it.runIf(needs("PostgreSQL 15 of Debian", existsSync(folder)))("…", …)
 */
export function needs(what: string, present: boolean): boolean {
  if (present) return true;
  if (process.env["TENURE_CI"] === "1") throw new Error(`${what} is missing, and TENURE_CI=1 allows no skipped test`);
  return skipped(what);
}

/** For what depends on the user who runs the tests, which is not for a build machine to provide: skipped everywhere. */
export function needsUser(what: string, present: boolean): boolean {
  return present || skipped(what);
}

function skipped(what: string): false {
  process.stderr.write(`SKIPPED for want of ${what}\n`);
  return false;
}

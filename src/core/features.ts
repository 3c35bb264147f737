/**
 * Switches that clients see as features. Each is a setting that something reads; a new one is a line here. Those that
 * only clients know are oktaFeatures.ts.
 */
export type Feature = Readonly<{
  id: string;
  name: string;
  description: string;
  /** The setting that holds it: true or false. */
  setting: string;
  /** What it is where nobody has turned it. */
  standard: boolean;
  stage: "GA" | "EA" | "BETA";
}>;

export const features: readonly Feature[] = [
  {
    id: "ftrEditsDeactivateds",
    name: "Edit deactivated people",
    description: "Profiles of deactivated people may be changed through the API; otherwise they stay as they were",
    setting: "edit_deactivated_users",
    standard: false,
    stage: "EA",
  },
  {
    id: "ftrIdleTokensExpired",
    name: "End idle API tokens",
    description: "An API token that nobody used for 30 days is valid no longer",
    setting: "idle_tokens_expire",
    standard: false,
    stage: "EA",
  },
  {
    id: "ftrApiCallsAreCounts",
    name: "Count API calls",
    description: "Which endpoints are called, and how they were answered, is counted for `tenure okta-coverage`",
    setting: "count_api_calls",
    standard: true,
    stage: "EA",
  },
];

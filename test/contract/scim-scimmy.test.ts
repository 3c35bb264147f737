import { startScim } from "./scimServers.ts";
import { contract } from "./suite.ts";

contract({
  name: "SCIM by the letter (scimmy on Express 4)",
  quirks: { any_member: true },
  start: () => startScim("scimmy"),
});

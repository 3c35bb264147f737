import { startScim } from "./scimServers.ts";
import { contract } from "./suite.ts";

contract({
  name: "strict SCIM (better-auth)",
  quirks: { no_password: true, refuses: ["nickName"], keeps: ["displayName"] },
  start: () => startScim("betterAuth"),
});

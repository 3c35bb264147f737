import { interopServer, startScim } from "./scimServers.ts";
import { contract } from "./suite.ts";

contract({
  name: "SCIM with a broken pager (scimmy on Express 5)",
  quirks: { any_member: true, list_cut: true },
  start: () => startScim("scimmyExpress5", { file: interopServer("scimmyExpress5") }),
});

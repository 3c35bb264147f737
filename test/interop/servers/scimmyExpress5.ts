/**
 * scimmy on Express 5, as npm installs it by itself. There `req.query` can no longer be assigned to, so that scimmy's
 * paging parameters are lost and every page is the whole list: a pager that the connector has to survive.
 */
import { registerHooks } from "node:module";

registerHooks({
  resolve: (specifier, context, next) => next(specifier === "express" ? "express5" : specifier, context),
});

await import("../../../demo/apps/scimmy.ts");

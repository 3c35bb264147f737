/**
 * The API's own description: OpenAPI 3.1 at /openapi.json, made from the routes, and a page at /docs that shows it. The
 * page is one file of ours: no script from elsewhere, so it works where there is no internet.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import swagger from "@fastify/swagger";
import { jsonSchemaTransform } from "fastify-type-provider-zod";
import type { Server } from "./api.ts";

/** Registers what collects the routes; call it before any route is registered. */
export async function documentation(server: Server): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Tenure",
        version: "1",
        description:
          "Two halves: /api/v1 is Okta's Management API for every noun Okta has; /admin/v1 is what Okta has no words for.",
      },
      components: {
        securitySchemes: {
          token: {
            type: "apiKey",
            in: "header",
            name: "Authorization",
            description: "`SSWS <token>` or `Bearer <token>`",
          },
        },
      },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  const page = readFileSync(join(import.meta.dirname, "docs.html"), "utf8");
  server.get("/openapi.json", { schema: { hide: true } }, async () => server.swagger());
  server.get("/docs", { schema: { hide: true } }, async (_request, reply) => {
    reply.header("content-type", "text/html; charset=utf-8");
    reply.header(
      "content-security-policy",
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
    );
    return page;
  });
}

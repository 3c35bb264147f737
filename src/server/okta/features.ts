/**
 * /api/v1/features: switches of this installation (core/features.ts), and those of Okta that are only kept for its clients
 * (core/oktaFeatures.ts), in Okta's form. None depends on another.
 */
import { z } from "zod";
import { type Feature, features as ours } from "../../core/features.ts";
import { okta_features } from "../../core/oktaFeatures.ts";
import { readSwitches } from "../../directory/organisation.ts";
import { setSetting } from "../../directory/settings.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { hinted } from "./links.ts";

const params = z.object({ feature_id: z.string().min(1).max(100) });
const one = "/api/v1/features/:feature_id";
const features: readonly Feature[] = [...ours, ...okta_features];

/** Registers the routes. */
export function featureRoutes(server: Server, api: Api): void {
  server.get("/api/v1/features", about("features", "Switches of this installation"), async (request) =>
    featureBodies(api, features, request.base_url),
  );
  server.get(one, about("features", "A switch", { params }), async (request) =>
    featureBody(api, oneFeature(request.params.feature_id), request.base_url),
  );
  for (const what of ["dependencies", "dependents"]) {
    server.get(
      `${one}/${what}`,
      about("features", `Always empty: no switch has ${what}`, { params }),
      async (request) => {
        oneFeature(request.params.feature_id);
        return [];
      },
    );
  }
  const turning = {
    params: params.extend({ lifecycle: z.string().max(20) }),
    querystring: z.object({ mode: z.string().max(20).optional() }),
  };
  server.post(`${one}/:lifecycle`, about("features", "Turn a switch: enable or disable", turning), async (request) => {
    const feature = oneFeature(request.params.feature_id);
    const verb = request.params.lifecycle.toUpperCase();
    if (verb !== "ENABLE" && verb !== "DISABLE") throw invalid("lifecycle", "lifecycle: use ENABLE or DISABLE");
    must(await setSetting(commandOf(api, request), feature.setting, verb === "ENABLE"));
    return featureBody(api, feature, request.base_url);
  });
}

function oneFeature(id: string): Feature {
  return found(
    features.find((feature) => feature.id === id),
    id,
    "Feature",
  );
}

async function featureBodies(api: Api, these: readonly Feature[], base: string) {
  const switches = await readSwitches(api.db, these);
  return these.map((feature) => bodyOf(feature, switches.get(feature.setting) ?? feature.standard, base));
}

async function featureBody(api: Api, feature: Feature, base: string) {
  const [body] = await featureBodies(api, [feature], base);
  return body;
}

function bodyOf(feature: Feature, on: boolean, base: string) {
  const self = `${base}/api/v1/features/${feature.id}`;
  const turn = on ? "disable" : "enable";
  return {
    id: feature.id,
    type: "self-service",
    status: on ? "ENABLED" : "DISABLED",
    name: feature.name,
    description: feature.description,
    stage: { value: feature.stage, state: "OPEN" },
    _links: {
      [turn]: hinted(`${self}/${turn}`, "POST"),
      self: { href: self },
      dependents: { href: `${self}/dependents` },
      dependencies: { href: `${self}/dependencies` },
      helpDoc: { href: `${base}/docs` },
      devDoc: { href: `${base}/docs` },
    },
  };
}

/**
 * /.well-known/oauth-authorization-server: where clients get tokens (RFC 8414). Keys that Okta's clients read and that
 * name endpoints of sign-on are there and lead to paths that are not served: this server signs people in nowhere.
 */
import { scopes } from "../../core/scopes.ts";
import type { Server } from "../api.ts";

const secret_methods = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"];
const signing = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];

/** Registers the route. */
export function authorizationServerRoutes(server: Server): void {
  server.get(
    "/.well-known/oauth-authorization-server",
    { schema: { tags: ["oauth"], summary: "Where clients get tokens; public" } },
    async (request) => {
      const at = (name: string) => `${request.base_url}/oauth2/v1/${name}`;
      return {
        issuer: request.base_url,
        authorization_endpoint: at("authorize"),
        token_endpoint: at("token"),
        registration_endpoint: at("clients"),
        introspection_endpoint: at("introspect"),
        revocation_endpoint: at("revoke"),
        end_session_endpoint: at("logout"),
        device_authorization_endpoint: at("device/authorize"),
        pushed_authorization_request_endpoint: at("par"),
        jwks_uri: at("keys"),
        grant_types_supported: ["client_credentials"],
        response_types_supported: ["token"],
        response_modes_supported: ["query"],
        subject_types_supported: ["public"],
        scopes_supported: scopes,
        token_endpoint_auth_methods_supported: secret_methods,
        introspection_endpoint_auth_methods_supported: secret_methods,
        revocation_endpoint_auth_methods_supported: secret_methods,
        claims_supported: ["jti", "iss", "aud", "iat", "exp", "cid", "scp", "sub"],
        code_challenge_methods_supported: ["S256"],
        request_parameter_supported: false,
        request_object_signing_alg_values_supported: signing,
        dpop_signing_alg_values_supported: signing,
        frontchannel_logout_supported: false,
        frontchannel_logout_session_supported: false,
        identity_chaining_requested_token_types_supported: [],
      };
    },
  );
}

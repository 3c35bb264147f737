/** What administrators can be told of, and whether a role is told unless it says otherwise. In Okta's names. */
const standards = {
  IWA_AGENT: true,
  CONNECTOR_AGENT: true,
  AD_AGENT: true,
  LDAP_AGENT: true,
  RATELIMIT_NOTIFICATION: true,
  OKTA_ANNOUNCEMENT: true,
  OKTA_UPDATE: true,
  REPORT_SUSPICIOUS_ACTIVITY: true,
  USER_LOCKED_OUT: false,
  APP_IMPORT: false,
  USER_DEPROVISION: false,
} as const;

export type NotificationType = keyof typeof standards;

export const notification_types = Object.keys(standards) as NotificationType[];

/** Is somebody told who never said whether they want to be? */
export const toldByStandard = (type: NotificationType): boolean => standards[type];

export const isNotificationType = (text: string): text is NotificationType => Object.hasOwn(standards, text);

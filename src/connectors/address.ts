/**
 * Which network addresses a connector may talk to. An app's base URL is typed by an administrator and its name is
 * resolved by a DNS server we do not control, so the address itself is judged, at connect time, after resolution: a
 * name that pointed to a public address a moment ago and to a cloud's metadata service now gets nothing.
 *
 * Law: link-local, metadata, multicast and unspecified addresses are never reached. Private and loopback ones only if
 * the operator said `allow_private` (apps inside the company, the demo). Called by connectors/http.ts.
 */
import { type LookupAddress, lookup as resolve } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

export type AddressRule = Readonly<{ allow_private: boolean }>;

type Range = readonly [address: string, prefix: number];

const never_v4: readonly Range[] = [
  ["0.0.0.0", 8], // "this network"
  ["169.254.0.0", 16], // link-local, where clouds serve instance credentials
  ["100.100.100.200", 32], // Alibaba Cloud's metadata service
  ["192.0.0.192", 32], // Oracle Cloud's metadata service
  ["224.0.0.0", 3], // multicast, reserved and broadcast
];
const never_v6: readonly Range[] = [
  ["::", 128],
  ["fe80::", 10],
  ["fd00:ec2::254", 128], // AWS's metadata service
  ["fd20:ce::254", 128], // Google Cloud's metadata service
  ["ff00::", 8],
];
const private_v4: readonly Range[] = [
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
];
const private_v6: readonly Range[] = [
  ["::1", 128],
  ["fc00::", 7],
  ["fec0::", 10],
];

function blockList(v4: readonly Range[], v6: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of v4) list.addSubnet(address, prefix, "ipv4");
  for (const [address, prefix] of v6) list.addSubnet(address, prefix, "ipv6");
  return list;
}

const never = blockList(never_v4, never_v6);
const inside = blockList(private_v4, private_v6);

/** The IPv4 address that an IPv6 one carries (mapped, NAT64, 6to4), so that dressing one up does not let it pass. */
function carriedV4(address: string): string | null {
  const groups = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const head = groups[0] === "" ? [] : groups[0]!.split(":");
  const tail = groups[1] === undefined || groups[1] === "" ? [] : groups[1].split(":");
  const zeros = new Array<string>(8 - head.length - tail.length).fill("0");
  const words = [...head, ...(groups.length === 2 ? zeros : []), ...tail].map((word) => Number.parseInt(word, 16));
  const v4 = (high: number, low: number) => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  if (words[0] === 0x2002) return v4(words[1]!, words[2]!);
  const nat64 = words[0] === 0x64 && words[1] === 0xff9b;
  const mapped = words.slice(0, 5).every((word) => word === 0) && (words[5] === 0xffff || words[5] === 0);
  if (nat64 || (mapped && (words[6]! !== 0 || words[7]! > 1))) return v4(words[6]!, words[7]!);
  return null;
}

/**
 * Why a connection to an IP address is refused, as the end of a sentence, or null if it may be made.
 * @param address IPv4 or IPv6 in text, without brackets or zone
 */
export function addressRefused(address: string, rule: AddressRule): string | null {
  const plain = address.replace(/%.*$/, "");
  const family = isIP(plain);
  if (family === 0) return "is not an IP address";
  const carried = family === 6 ? carriedV4(plain) : null;
  if (carried !== null) return addressRefused(carried, rule);
  const kind = family === 4 ? "ipv4" : "ipv6";
  if (never.check(plain, kind)) return "is a link-local, metadata or reserved address, which no app may use";
  if (!rule.allow_private && inside.check(plain, kind)) {
    return "is a private address, and this server is not set to reach apps on private addresses (allow_private)";
  }
  return null;
}

/** Code of the error that a refused name gives, so that http.ts can tell it from a network failure. */
export const address_refused_code = "ERR_ADDRESS_REFUSED";

/** A `lookup` for net.connect and tls.connect that fails when any address of the name is refused. */
export function guardedLookup(rule: AddressRule): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, "", 4);
      for (const { address } of addresses) {
        const why = addressRefused(address, rule);
        if (why === null) continue;
        return callback(Object.assign(new Error(`${address} ${why}`), { code: address_refused_code }), "", 4);
      }
      const first = addresses[0];
      if (first === undefined) {
        return callback(Object.assign(new Error(`${hostname} has no address`), { code: "ENOTFOUND" }), "", 4);
      }
      if (options.all === true) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };
}

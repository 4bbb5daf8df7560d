/** Where nobody on the internet may be: IANA's special-purpose registry, multicast, and what is reserved. */
const NOT_PUBLIC_4: [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];
/** All of IPv6 but 2000::/3 is special; so are, within it: protocols with Teredo, documentation, 6to4, documentation. */
const NOT_PUBLIC_6: [bigint, number][] = [
  [0x2001_0000n, 23],
  [0x2001_0db8n, 32],
  [0x2002_0000n, 16],
  [0x3fff_0000n, 20],
];

/** Whether the literal `address` is one of the public internet; anything that is no plain literal is not. */
export function isPublicAddress(address: string): boolean {
  if (!address.includes(":")) {
    const number = numberOf4(address);
    return number !== null && !NOT_PUBLIC_4.some(([start, bits]) => sameStart(number, numberOf4(start)!, bits));
  }
  const first = firstOf6(address);
  return first !== null && first >> 29n === 1n && !NOT_PUBLIC_6.some(([start, bits]) => sameStart(first, start, bits));
}

/** Whether `host`, as a URL spells it, is an address and no name. */
export function isLiteral(host: string): boolean {
  return host.startsWith("[") || numberOf4(host) !== null;
}

function sameStart(one: bigint, other: bigint, bits: number): boolean {
  return one >> BigInt(32 - bits) === other >> BigInt(32 - bits);
}

function numberOf4(address: string): bigint | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  if (!parts || parts.some((part) => part > 255)) return null;
  return parts.reduce((number, part) => number << 8n | BigInt(part), 0n);
}

/** The first 32 bits of an IPv6 address, as the URL standard reads it. */
function firstOf6(address: string): bigint | null {
  const parsed = /^[0-9a-f:.]+$/i.test(address) ? URL.parse(`http://[${address}]/`) : null;
  if (!parsed) return null;
  const [start, end] = parsed.hostname.slice(1, -1).split("::");
  const groups = start ? start.split(":") : [];
  // "::" stands for at least two groups of zeros; without it all eight are there.
  if (end !== undefined) groups.push("0", "0");
  const [first, second] = [...groups, ...Array(2).fill("0")];
  return BigInt(parseInt(first, 16)) << 16n | BigInt(parseInt(second, 16));
}
